"""API call budget per account: a rolling hour that all processes share.

Redis holds the fast copy, `api_calls` is the source of truth. A generation key marks a complete copy. If it is missing
or from another run of the server (flush, restart, old snapshot, failover), the window is rebuilt from the rows before
anything is granted. A grant from before that without a row is requested again (`confirm`), so that the limit always
holds. Without Redis no call is made; only this module decides that.
"""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app import clock, redis_client, settings
from app.calls import circuit_breaker
from app.db.engine import db
from app.db.types import member
from app.errors import RetryLater
from app.instagram.usage_headers import Usage
from app.labels import label
from app.models.call import ApiCall, Purpose
from app.redis_client import RedisUnavailable

PROFILE = "profile"
CONVERSATIONS = "conversations"
COUNTED = (PROFILE, CONVERSATIONS)  # the identity calls that GRAPH_CALLS_PER_HOUR limits
URGENT = (Purpose.LIVE, Purpose.ASKED)  # a contact writes or a user waits: these may use the reserve

# Meta counts a call up to 4 s after its grant (2 s for the row, 2 s for the call). The margin keeps a late call and a
# later quick one within the limit of one hour at Meta.
WINDOW_SECONDS = 3600 + 5
RESERVE_DIVISOR = 5  # one fifth is reserved for urgent calls
DAILY_DIVISOR = 2  # the daily refresh uses at most half of the budget
SLOW_PERCENT = 80  # of Meta's own limit; above it background lookups slow down
SLOW_CALLS, SLOW_SECONDS = 2, 60
USAGE_SECONDS = 600  # how long a usage figure of Meta counts
PACE_CALLS, PACE_SECONDS = 2, 1.25  # 2 a second (docs/meta-platform.md#rate-limits), with a margin for slow networks
PATIENCE_SECONDS = 1.4  # how long `spend` waits for the pace or a rebuild
REBUILD_SECONDS = 5
UNAVAILABLE_SECONDS = 5
_POLL_SECONDS = 0.02

_REASONS = {
    "spent": "the API call budget is used up",
    "reserved": "the rest of the API call budget is reserved for contacts who write",
    "half": "the daily refresh has used its half of the API call budget",
    "slow": "close to Meta's rate limit, so background lookups are slowed down",
    "pace": "conversations are read at most twice a second",
    "unknown": "the API call budget is being recalculated",
}
_SPEND = Path(__file__).with_suffix(".lua").read_text()
_REBUILD = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if string.sub(redis.call('GET', KEYS[2]) or '', 1, #run) == run then return redis.call('DEL', KEYS[3]) end
redis.call('DEL', KEYS[1])
for index = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[index], ARGV[index + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], run .. ARGV[1])
redis.call('DEL', KEYS[3])
return 1
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission for one call. `at` (aware UTC, clock of Redis) is the time of its row: one clock counts all."""

    account_id: int
    call: str
    purpose: Purpose
    at: datetime
    generation: bytes


@dataclass(frozen=True, slots=True)
class Forecast:
    """The use of an account's budget in the last 60 minutes.

    `free_at` is when the next background call may be made, `resets_at` when the oldest call leaves the hour (None
    without calls); both aware UTC.
    """

    used: int
    limit: int
    background_limit: int
    free_at: datetime
    resets_at: datetime | None
    by_purpose: Mapping[Purpose, int]

    @property
    def spenders(self) -> tuple[tuple[str, int], ...]:
        """The calls of the hour by purpose, as (label, calls), most first."""
        by_label: Counter[str] = Counter()
        for purpose, calls in self.by_purpose.items():
            by_label[label(purpose)] += calls
        return tuple(by_label.most_common())


@dataclass(frozen=True, slots=True)
class _Response:
    state: str
    wait_seconds: float
    generation: bytes
    at: datetime


def spend(account_id: int, *, call: str, purpose: Purpose) -> Grant:
    """Use one call of the account's budget; raises RetryLater if none is left now, or Redis is unavailable."""
    until = clock.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            answer = _request(account_id, call, purpose, nonce=secrets.token_hex(8))
            if answer.state == "granted":
                return Grant(account_id, call, purpose, answer.at, answer.generation)
            wait = _POLL_SECONDS if answer.state == "unknown" else answer.wait_seconds
            if answer.state not in ("pace", "unknown") or clock.monotonic() + wait > until:
                reserved = answer.state == "spent" and purpose not in URGENT
                reason = _REASONS["reserved" if reserved else answer.state]
                raise RetryLater(reason, clock.now() + timedelta(seconds=max(wait, 1)))
            if answer.state == "pace" or not _rebuild(account_id):
                clock.sleep(wait)
    except RedisUnavailable:
        raise _redis_unavailable() from None


def confirm(grant: Grant) -> None:
    """Check that a grant still counts once its row is committed, else use another call; raises RetryLater.

    Redis may have lost its data, and the window may have been rebuilt before this row was committed.
    """
    try:
        counts = _client().get(_generation(grant.account_id)) == grant.generation
    except RedisUnavailable:
        raise _redis_unavailable() from None
    if not counts:
        spend(grant.account_id, call=grant.call, purpose=grant.purpose)


def observe(account_id: int, usage: Usage) -> None:
    """Record Meta's own usage figure for the account: from 80% on, background lookups get two calls a minute."""
    if usage.percent is None:
        return
    try:
        _client().set(_usage(account_id), usage.percent, ex=USAGE_SECONDS)
    except RedisUnavailable:
        return  # without Redis nothing is granted either


def forecast(account_id: int) -> Forecast | None:
    """Return the use of the account's budget, rebuilt if needed; None if Redis is unavailable or a rebuild runs."""
    limit, background_limit = _limits()
    try:
        background = _request(account_id, PROFILE, Purpose.BACKFILL, nonce="")
        if background.state == "unknown" and _rebuild(account_id):
            background = _request(account_id, PROFILE, Purpose.BACKFILL, nonce="")
        since_ms = (background.at.timestamp() - WINDOW_SECONDS) * 1000
        grants = _client().zrangebyscore(_grants(account_id), f"({since_ms:.0f}", "+inf", withscores=True)
    except RedisUnavailable:
        return None
    if background.state == "unknown":
        return None
    now = clock.now()
    oldest = min((score for _, score in grants), default=None)
    return Forecast(
        used=len(grants),
        limit=limit,
        background_limit=background_limit,
        free_at=max(now + timedelta(seconds=background.wait_seconds), circuit_breaker.closed_at(account_id)),
        resets_at=None if oldest is None else now + timedelta(milliseconds=oldest - since_ms),
        by_purpose=Counter(_purpose(grant) for grant, _ in grants),
    )


def left(account_ids: Sequence[int]) -> dict[int, int]:
    """Return the calls left in the last 60 minutes of these accounts, in two round trips. Raises RedisUnavailable.

    Leaves out accounts whose window is not in Redis, until a call or `forecast` rebuilds it.
    """
    seconds, microseconds = _client().time()
    since_ms = (seconds - WINDOW_SECONDS) * 1000 + microseconds // 1000
    pipeline = _client().pipeline(transaction=False)
    for account_id in account_ids:
        pipeline.exists(_generation(account_id))
        pipeline.zcount(_grants(account_id), f"({since_ms}", "+inf")
    found, (limit, _) = pipeline.execute(), _limits()
    windows = zip(account_ids, found[::2], found[1::2], strict=True)
    return {account_id: max(limit - used, 0) for account_id, complete, used in windows if complete}


def _request(account_id: int, call: str, purpose: Purpose, *, nonce: str) -> _Response:
    limit, background_limit = _limits()
    rules = (limit, limit - background_limit, SLOW_PERCENT, SLOW_CALLS, SLOW_SECONDS * 1000, PACE_CALLS)
    state, wait_ms, generation, seconds, microseconds = _eval(
        _SPEND,
        [_grants(account_id), _generation(account_id), _usage(account_id)],
        WINDOW_SECONDS * 1000,
        *rules,
        int(PACE_SECONDS * 1000),
        _kind(call, purpose),
        nonce,
        limit // DAILY_DIVISOR,
        USAGE_SECONDS * 1000,
    )
    at = clock.from_timestamp(int(seconds)) + timedelta(microseconds=int(microseconds))
    return _Response(state.decode(), wait_ms / 1000, generation, at)


def _rebuild(account_id: int) -> bool:
    """Rebuild the window from the rows; return False if another process does, or Redis lost the lock."""
    client = _client()
    generation = secrets.token_hex(8)
    lock = _grants(account_id) + ":rebuild"
    if not redis_client.take(lock, generation, seconds=REBUILD_SECONDS):
        return False
    seconds, microseconds = client.time()
    now = clock.from_timestamp(seconds) + timedelta(microseconds=microseconds)
    grants: list[str | int] = []
    for number, call, purpose, at in _logged_calls(account_id, now - timedelta(seconds=WINDOW_SECONDS)):
        grants += [int(min(at, now).timestamp() * 1000), f"{_kind(call, purpose)}row{number}"]
    keys = [_grants(account_id), _generation(account_id), lock]
    return bool(_eval(_REBUILD, keys, generation, WINDOW_SECONDS * 1000, *grants))


def _logged_calls(account_id: int, since: datetime) -> list[tuple[int, str, Purpose, datetime]]:
    rows = select(ApiCall.id, ApiCall.call, ApiCall.purpose, ApiCall.at).where(
        ApiCall.account_id == account_id, ApiCall.at > since, ApiCall.call.in_(COUNTED)
    )
    with db.engine.connect() as connection:  # the session may have an old snapshot
        return [(row.id, row.call, row.purpose, row.at) for row in connection.execute(rows)]


def _eval(script: str, keys: list[str], *arguments: str | int) -> Any:
    return _client().eval(script, len(keys), *keys, *arguments)


def _client() -> Any:  # redis-py's types include awaitables
    return redis_client.client()


def _redis_unavailable() -> RetryLater:
    return RetryLater("can't reach Redis, so lookups are paused", clock.now() + timedelta(seconds=UNAVAILABLE_SECONDS))


def _limits() -> tuple[int, int]:
    limit = settings.current().graph_calls_per_hour
    return limit, limit - limit // RESERVE_DIVISOR


def _kind(call: str, purpose: Purpose) -> str:
    return f"{'live' if purpose in URGENT else 'rest'}:{purpose}:{call}:"


def _purpose(grant: bytes) -> Purpose:
    return member(Purpose, grant.decode(errors="replace").partition(":")[2].partition(":")[0])


def _grants(account_id: int) -> str:
    return f"nametag:budget:{account_id}"


def _generation(account_id: int) -> str:
    return f"nametag:budget:{account_id}:generation"


def _usage(account_id: int) -> str:
    return f"nametag:budget:{account_id}:usage"
