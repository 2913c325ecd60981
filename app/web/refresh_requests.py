"""Refreshes requested by users: their rate limit, and messages about the result."""

from datetime import datetime, timedelta

from app import clock
from app.errors import RetryLater
from app.inbox.thread import LookupResult
from app.users import rate_limit
from app.web import session

PER_MINUTE = 20
QUEUED = {"refresh:queued": True}  # pages that show the contact follow its lookup
RESULT_AFTER_SECONDS = (1, 2, 4)  # when the page requests the result, after the click
PATIENCE = timedelta(seconds=RESULT_AFTER_SECONDS[-1] - 0.5)


def require_rate() -> None:
    """Count a refresh of the user. Raises RetryLater (429) above the limit per minute."""
    rate = rate_limit.count_call(f"refresh:{session.viewer().actor}", PER_MINUTE)
    if rate.exceeded:
        until = clock.now() + timedelta(seconds=rate.seconds_left)
        raise RetryLater(f"at most {PER_MINUTE} refreshes a minute", until)


def outcome(looked_up_at: datetime | None) -> str:
    """Return the message after a click: the refresh was queued, or the time of a lookup too recent to repeat."""
    if looked_up_at is None:
        return "Refresh queued."
    return f"Looked up {max(0, round((clock.now() - looked_up_at).total_seconds()))} s ago."


def sentence(result: LookupResult | None, since: datetime) -> str | None:
    """Return the message about a refresh requested at `since` (aware UTC), None while its result is expected."""
    if result is None:
        late = clock.now() - since > PATIENCE
        return "No result yet. The name changes here once the lookup is done." if late else None
    name = result.display.text
    if result.failure is None:
        return f"Now {name}"
    return f"{'Lookup failed' if result.display.known else 'Still unknown'}: {result.failure}."
