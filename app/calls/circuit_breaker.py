"""Circuit breaker for calls to Meta, per account and for the whole app, also for Meta's rate limits.

While a circuit is open no call is made; after its timeout one probe call is let through, and the others wait for its
result. A rejected access token is stored in the account's row and lasts until a check succeeds or a new token comes.
All other state is in Redis and expires; losing it costs one call, which opens the circuit again. Without Redis the
budget grants no calls.
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
from app.models.account import Account, AccountState
from app.redis_client import RedisUnavailable
from app.text import shorten, storable

logger = logging.getLogger(__name__)

FAILURE_THRESHOLD = 5  # network failures in a row
PROBE_SECONDS = 10  # how long other calls wait for the result of the probe
RECONNECT_SECONDS = 6  # when to check for a new token; work resumes within 10 s
REASON_CHARACTERS = 200
STOPPED = "Calls to Instagram are paused after failures"
FULL_PERCENT = 100  # of Meta's own limit


@dataclass(frozen=True, slots=True)
class _Wait:
    first_seconds: int
    most_seconds: int


_RATE_LIMITED = _Wait(60, 3600)
_UNREACHABLE = _Wait(30, 900)
_SCRIPT = Path(__file__).with_suffix(".lua").read_text()


def check(account_id: int, *, state: AccountState, state_reason: str | None) -> None:
    """Raise RetryLater while no call of this account may be made; `state` and `state_reason` are from its row."""
    if state is AccountState.RECONNECT:
        until = clock.now() + timedelta(seconds=RECONNECT_SECONDS)
        raise RetryLater(state_reason or SENTENCES[Reason.TOKEN], until)
    block = _ask(account_id, probe_seconds=PROBE_SECONDS)
    if block:
        raise block


def current_block(account_id: int) -> RetryLater | None:
    """Return why and until when calls of this account are stopped, None without an open circuit; allows no probe."""
    return _ask(account_id, probe_seconds=0)


def closed_at(account_id: int) -> datetime:
    """Return when calls of this account may resume (aware UTC); now if no circuit is open."""
    block = current_block(account_id)
    return block.until if block else clock.now()


def record_response(account_id: int, usage: Usage) -> None:
    """Record that Instagram responded; open a circuit if its usage figures reach 100%."""
    _run("answered", _keys(account_id))
    if (usage.app_percent or 0) >= FULL_PERCENT:
        _open(_app(), account_id, SENTENCES[Reason.RATE_LIMITED], usage.regain_at, _RATE_LIMITED)
    if (usage.account_percent or 0) >= FULL_PERCENT:
        _open(_rate_limits(account_id), account_id, SENTENCES[Reason.RATE_LIMITED], usage.regain_at, _RATE_LIMITED)


def record_failure(account_id: int, failure: GraphAPIError, *, token: Secret | None) -> None:
    """Open the circuit that this failure requires; `token` is the one the call was made with."""
    if failure.scope in (Scope.CONTACT, Scope.FIELD):
        record_response(account_id, failure.usage)
    elif failure.scope in (Scope.NETWORK, Scope.CONTRACT):
        _count_failure(account_id, failure)
    elif failure.scope is Scope.APP:
        _open(_app(), account_id, failure.sentence, failure.retry_at, _RATE_LIMITED)
    elif failure.reason is Reason.RATE_LIMITED:
        _open(_rate_limits(account_id), account_id, failure.sentence, failure.retry_at, _RATE_LIMITED)
    else:
        _set_state(account_id, AccountState.RECONNECT, failure.sentence, token=token)


def record_valid_token(account_id: int, *, token: Secret | None) -> None:
    """Connect the account again: Meta accepted its `token`."""
    _set_state(account_id, AccountState.CONNECTED, None, token=token)


def _set_state(account_id: int, state: AccountState, reason: str | None, *, token: Secret | None) -> None:
    # Only if the row still holds the checked token: the result for an old token must not affect a new one.
    # An account in state DELETING has no token either and must stay in that state.
    unchanged = (state, AccountState.DELETING)
    row = update(Account).where(Account.id == account_id, Account.token == token, Account.state.not_in(unchanged))
    with transaction.write() as tx:
        changed = tx.execute(row.values(state=state, state_reason=reason)).rowcount
        if changed:
            tx.mark_changed(account_id)
    if changed:
        extra = {"account": account_id, "state": str(state), "reason": reason}
        logger.warning("account state changed", extra=extra)


def _count_failure(account_id: int, failure: GraphAPIError) -> None:
    milliseconds = (FAILURE_THRESHOLD, _UNREACHABLE.first_seconds * 1000, _UNREACHABLE.most_seconds * 1000)
    _log_opening(_run("strike", [_network(account_id)], failure.sentence, *milliseconds), account_id, failure.sentence)


def _open(key: str, account_id: int, reason: str, until: datetime | None, wait: _Wait) -> None:
    named = max(int((until - clock.now()).total_seconds() * 1000), 0) if until else 0
    milliseconds = (named, wait.first_seconds * 1000, wait.most_seconds * 1000)
    _log_opening(_run("open", [key], reason, *milliseconds), account_id, reason)


def _log_opening(milliseconds: int | None, account_id: int, reason: str) -> None:
    if milliseconds:
        logger.warning("circuit breaker opened", extra={"account": account_id, "reason": reason, "ms": milliseconds})


def _ask(account_id: int, *, probe_seconds: int) -> RetryLater | None:
    wait, reason = _run("ask", _keys(account_id), probe_seconds * 1000) or (0, b"")
    if not wait:
        return None
    text = shorten(storable(reason.decode(errors="replace")), REASON_CHARACTERS) or STOPPED
    return RetryLater(text, clock.now() + timedelta(milliseconds=wait))


def _run(what: str, keys: list[str], *arguments: str | int) -> Any:
    evaluate: Callable[..., Any] = redis_client.client().eval
    try:
        return evaluate(_SCRIPT, len(keys), *keys, what, *arguments)
    except RedisUnavailable:
        logger.warning("circuit breaker not read or written: Redis is unavailable")
        return None


def _keys(account_id: int) -> list[str]:
    return [_app(), _rate_limits(account_id), _network(account_id)]


def _app() -> str:
    return "nametag:stop:app"


def _rate_limits(account_id: int) -> str:
    return f"nametag:stop:{account_id}:limits"


def _network(account_id: int) -> str:
    return f"nametag:stop:{account_id}:network"
