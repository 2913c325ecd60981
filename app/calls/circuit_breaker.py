"""Stops calls for an account or the whole app that keeps failing, and lets one through when the time is over.

Every stop lives here, those for Meta's rate limits too; the budget only counts. Trouble that a person must mend (token,
permission) is the account's row and lasts until a check succeeds or a new token comes; the rest is in Redis (with Redis
away it is the budget that lets nothing through) and ends by itself: the first call afterwards is the probe, and while
it is out all others wait. What Redis forgets costs one call, which opens the stop again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from app import clock, redis_client
from app.db import transaction
from app.db.types import Secret
from app.errors import RetryLater
from app.instagram.errors import SENTENCES, GraphAPIError, Reason, Scope
from app.instagram.usage_headers import Usage
from app.models.inbox import Account, AccountState
from app.redis_client import RedisUnavailable
from app.text import shorten, storable

logger = logging.getLogger(__name__)

FAILURE_THRESHOLD = 5  # failures of the network in a row (reliability.md 3.6)
PROBE_SECONDS = 10  # how long others wait for the one call that tries whether things are well again
RECONNECT_SECONDS = 6  # whoever waits for a new token looks again, and resumes within ten (reliability.md F20)
REASON_CHARACTERS = 200
STOPPED = "Calls to Instagram are paused after failures"
FULL_PERCENT = 100  # of Meta's own figures


@dataclass(frozen=True, slots=True)
class _Wait:
    first_seconds: int
    most_seconds: int


_LIMITED = _Wait(60, 3600)  # reliability.md 3.6, as the next
_UNREACHABLE = _Wait(30, 900)
_SCRIPT = Path(__file__).with_suffix(".lua").read_text()


def check(account_id: int, *, state: AccountState, state_reason: str | None) -> None:
    """Raise RetryLater while no call of this account may be made; `state` and `state_reason` are its row's."""
    if state is AccountState.RECONNECT:
        until = clock.now() + timedelta(seconds=RECONNECT_SECONDS)
        raise RetryLater(state_reason or SENTENCES[Reason.TOKEN], until)
    stop = _ask(account_id, probe_seconds=PROBE_SECONDS)
    if stop:
        raise stop


def stopped(account_id: int) -> RetryLater | None:
    """Return why and until when calls of this account are stopped, None when they are not; lets no probe through."""
    return _ask(account_id, probe_seconds=0)


def closed_at(account_id: int) -> datetime:
    """Return the moment (aware UTC) from which calls of this account are not stopped: now, unless they are."""
    stop = stopped(account_id)
    return stop.until if stop else clock.now()


def answered(account_id: int, usage: Usage) -> None:
    """Note that Instagram answered, and whether its figures say that nothing is left."""
    _run("answered", _keys(account_id))
    if (usage.app_percent or 0) >= FULL_PERCENT:
        _stop(_app(), account_id, SENTENCES[Reason.RATE_LIMITED], usage.regain_at, _LIMITED)
    if (usage.account_percent or 0) >= FULL_PERCENT:
        _stop(_limits(account_id), account_id, SENTENCES[Reason.RATE_LIMITED], usage.regain_at, _LIMITED)


def failed(account_id: int, failure: GraphAPIError, *, token: Secret | None) -> None:
    """Stop what this failure says must stop; `token` is the one the call was made with."""
    if failure.scope in (Scope.PERSON, Scope.FIELD):
        answered(account_id, failure.usage)
    elif failure.scope in (Scope.NETWORK, Scope.CONTRACT):
        _count_failure(account_id, failure)
    elif failure.scope is Scope.APP:
        _stop(_app(), account_id, failure.sentence, failure.retry_at, _LIMITED)
    elif failure.reason is Reason.RATE_LIMITED:
        _stop(_limits(account_id), account_id, failure.sentence, failure.retry_at, _LIMITED)
    else:
        _set_state(account_id, AccountState.RECONNECT, failure.sentence, token=token)


def proved(account_id: int, *, token: Secret | None) -> None:
    """Close the account's stop: its token was checked and works."""
    _set_state(account_id, AccountState.CONNECTED, None, token=token)


def _set_state(account_id: int, state: AccountState, reason: str | None, *, token: Secret | None) -> None:
    # Only if the row still holds the token that was tried: a verdict on an old token must not hit the new one.
    # An account that is being deleted has no token either, and must not come back.
    unchanged = (state, AccountState.DELETING)
    row = update(Account).where(Account.id == account_id, Account.token == token, Account.state.not_in(unchanged))
    with transaction.write() as tx:
        changed = tx.execute(row.values(state=state, state_reason=reason)).rowcount
        if changed:
            tx.mark_changed(account_id)
    if changed:
        logger.warning("account %s: %s", account_id, reason or "its token works")


def _count_failure(account_id: int, failure: GraphAPIError) -> None:
    milliseconds = (FAILURE_THRESHOLD, _UNREACHABLE.first_seconds * 1000, _UNREACHABLE.most_seconds * 1000)
    _opened(_run("strike", [_network(account_id)], failure.sentence, *milliseconds), account_id, failure.sentence)


def _stop(key: str, account_id: int, reason: str, until: datetime | None, wait: _Wait) -> None:
    named = max(int((until - clock.now()).total_seconds() * 1000), 0) if until else 0
    milliseconds = (named, wait.first_seconds * 1000, wait.most_seconds * 1000)
    _opened(_run("stop", [key], reason, *milliseconds), account_id, reason)


def _opened(milliseconds: int | None, account_id: int, reason: str) -> None:
    if milliseconds:
        logger.warning("calls stop", extra={"account": account_id, "reason": reason, "ms": milliseconds})


def _ask(account_id: int, *, probe_seconds: int) -> RetryLater | None:
    wait, reason = _run("ask", _keys(account_id), probe_seconds * 1000) or (0, b"")
    if not wait:
        return None
    said = shorten(storable(reason.decode(errors="replace")), REASON_CHARACTERS) or STOPPED
    return RetryLater(said, clock.now() + timedelta(milliseconds=wait))


def _run(what: str, keys: list[str], *arguments: str | int) -> Any:
    evaluate: Callable[..., Any] = redis_client.client().eval
    try:
        return evaluate(_SCRIPT, len(keys), *keys, what, *arguments)
    except RedisUnavailable:
        logger.warning("a stop could not be read or written: Redis is away")
        return None


def _keys(account_id: int) -> list[str]:
    return [_app(), _limits(account_id), _network(account_id)]


def _app() -> str:
    return "nametag:stop:app"


def _limits(account_id: int) -> str:
    return f"nametag:stop:{account_id}:limits"


def _network(account_id: int) -> str:
    return f"nametag:stop:{account_id}:network"
