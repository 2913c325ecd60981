"""How many calls an account may still make: spent before a call, observed after it, in a rolling hour that all share.

Redis holds the fast copy, `lookups` the truth. A generation key marks a copy that is whole. Where it is missing or of
another run of the server (flush, restart, old snapshot, failover), the hour is read from the rows before anything is
granted, and a grant given before that but not yet in a row is asked for again (`confirm`): never overspent.
Without Redis there are no calls at all: that is decided here and nowhere else.
"""

import secrets
from collections import Counter
from collections.abc import Mapping
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
from app.models.identity import Lookup, Purpose
from app.redis_client import RedisUnavailable

PROFILE = "profile"
CONVERSATIONS = "conversations"
COUNTED = (PROFILE, CONVERSATIONS)  # the identity calls that GRAPH_CALLS_PER_HOUR limits
URGENT = (Purpose.LIVE, Purpose.ASKED)  # somebody writes or waits now: these may use the reserve

# Our hour begins when a call is granted, Meta's when it arrives: at most two seconds for the row and two for the call
# later (reliability.md F1, F16). The margin keeps a late old call and a quick new one out of one hour of Meta's.
WINDOW_SECONDS = 3600 + 5
RESERVE_PART = 5  # one fifth is kept for live traffic (product.md 3)
DAILY_PART = 2  # the daily refresh spends half of the hour at most (product.md 5)
SLOW_PERCENT = 80  # of Meta's own figures; from here on background work slows
SLOW_CALLS, SLOW_SECONDS = 2, 60
USAGE_SECONDS = 600  # how long an observed figure counts
PACE_CALLS, PACE_SECONDS = 2, 1.1  # conversations: 2 a second (instagram-platform.md 10), and room for jitter
PATIENCE_SECONDS = 1.2  # how long spend() itself waits for the pace or for a rebuild
REBUILD_SECONDS = 5
AWAY_SECONDS = 5
_LOOK_AGAIN_SECONDS = 0.02

_REASONS = {
    "spent": "the API call budget is used up",
    "reserved": "the rest of the API call budget is reserved for contacts who write",
    "half": "the daily refresh has used its half of the API call budget",
    "slow": "Meta's limits are nearly reached, background work slows down",
    "pace": "conversations may be read twice a second",
    "unknown": "the calls of the last hour are being counted again",
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
    """Leave to make one call; `at` (aware UTC, Redis's clock) goes into the row, so that one clock counts all."""

    account_id: int
    call: str
    purpose: Purpose
    at: datetime
    generation: bytes


@dataclass(frozen=True, slots=True)
class Forecast:
    """The rolling hour of an account. `free_at` is when background work may make its next call, `resets_at` when the
    oldest call leaves the hour (None when there is none); both aware UTC.
    """

    used: int
    limit: int
    background_limit: int
    free_at: datetime
    resets_at: datetime | None
    by_purpose: Mapping[Purpose, int]

    @property
    def spenders(self) -> tuple[tuple[str, int], ...]:
        """What the calls of the hour were made for, as (label, calls), most first."""
        by_label: Counter[str] = Counter()
        for purpose, calls in self.by_purpose.items():
            by_label[label(purpose)] += calls
        return tuple(by_label.most_common())


@dataclass(frozen=True, slots=True)
class _Answer:
    state: str
    wait_seconds: float
    generation: bytes
    at: datetime


def spend(account_id: int, *, call: str, purpose: Purpose) -> Grant:
    """Take one call out of the account's hour; raises RetryLater when there is none now (or Redis is unavailable)."""
    until = clock.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            answer = _ask(account_id, call, purpose, nonce=secrets.token_hex(8))
            if answer.state == "granted":
                return Grant(account_id, call, purpose, answer.at, answer.generation)
            wait = _LOOK_AGAIN_SECONDS if answer.state == "unknown" else answer.wait_seconds
            if answer.state not in ("pace", "unknown") or clock.monotonic() + wait > until:
                reserved = answer.state == "spent" and purpose not in URGENT
                reason = _REASONS["reserved" if reserved else answer.state]
                raise RetryLater(reason, clock.now() + timedelta(seconds=max(wait, 1)))
            if answer.state == "pace" or not _rebuild(account_id):
                clock.sleep(wait)
    except RedisUnavailable:
        raise _away() from None


def confirm(grant: Grant) -> None:
    """Make sure that a grant whose row is committed still counts, else take another; raises RetryLater.

    Redis may have forgotten everything since, and the hour been read from the rows before this one was there.
    """
    try:
        counts = _client().get(_generation(grant.account_id)) == grant.generation
    except RedisUnavailable:
        raise _away() from None
    if not counts:
        spend(grant.account_id, call=grant.call, purpose=grant.purpose)


def observe(account_id: int, usage: Usage) -> None:
    """Remember Meta's own figure for the account: from 80 % on, background work gets two calls a minute."""
    if usage.percent is None:
        return
    try:
        _client().set(_usage(account_id), usage.percent, ex=USAGE_SECONDS)
    except RedisUnavailable:
        return  # then nothing is granted either


def forecast(account_id: int) -> Forecast | None:
    """Return what is left of the account's hour, or None when Redis is away or being filled again."""
    limit, background_limit = _limits()
    try:
        background = _ask(account_id, PROFILE, Purpose.BACKFILL, nonce="")
        if background.state == "unknown" and _rebuild(account_id):
            background = _ask(account_id, PROFILE, Purpose.BACKFILL, nonce="")
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


def _ask(account_id: int, call: str, purpose: Purpose, *, nonce: str) -> _Answer:
    limit, background_limit = _limits()
    rules = (limit, limit - background_limit, SLOW_PERCENT, SLOW_CALLS, SLOW_SECONDS * 1000, PACE_CALLS)
    state, wait_ms, generation, seconds, microseconds = _run(
        _SPEND,
        [_grants(account_id), _generation(account_id), _usage(account_id)],
        WINDOW_SECONDS * 1000,
        *rules,
        int(PACE_SECONDS * 1000),
        _kind(call, purpose),
        nonce,
        limit // DAILY_PART,
        USAGE_SECONDS * 1000,
    )
    at = clock.from_timestamp(int(seconds)) + timedelta(microseconds=int(microseconds))
    return _Answer(state.decode(), wait_ms / 1000, generation, at)


def _rebuild(account_id: int) -> bool:
    """Read the hour from the rows; returns False when somebody else is doing so, or Redis forgot even the lock."""
    client = _client()
    generation = secrets.token_hex(8)
    lock = _grants(account_id) + ":rebuild"
    if not redis_client.take(lock, generation, seconds=REBUILD_SECONDS):
        return False
    seconds, microseconds = client.time()
    now = clock.from_timestamp(seconds) + timedelta(microseconds=microseconds)
    grants: list[str | int] = []
    for number, call, purpose, at in _spent(account_id, now - timedelta(seconds=WINDOW_SECONDS)):
        grants += [int(min(at, now).timestamp() * 1000), f"{_kind(call, purpose)}row{number}"]
    keys = [_grants(account_id), _generation(account_id), lock]
    return bool(_run(_REBUILD, keys, generation, WINDOW_SECONDS * 1000, *grants))


def _spent(account_id: int, since: datetime) -> list[tuple[int, str, Purpose, datetime]]:
    rows = select(Lookup.id, Lookup.call, Lookup.purpose, Lookup.at).where(
        Lookup.account_id == account_id, Lookup.at > since, Lookup.call.in_(COUNTED)
    )
    with db.engine.connect() as connection:  # not the session: it may be reading an old snapshot
        return [(row.id, row.call, row.purpose, row.at) for row in connection.execute(rows)]


def _run(script: str, keys: list[str], *arguments: str | int) -> Any:
    return _client().eval(script, len(keys), *keys, *arguments)


def _client() -> Any:  # redis-py's own types leave open whether an answer is awaited
    return redis_client.client()


def _away() -> RetryLater:
    reason = "Redis is unavailable, and calls can’t be counted without it"
    return RetryLater(reason, clock.now() + timedelta(seconds=AWAY_SECONDS))


def _limits() -> tuple[int, int]:
    limit = settings.current().graph_calls_per_hour
    return limit, limit - limit // RESERVE_PART


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
