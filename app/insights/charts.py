"""Data of the charts on the Insights page: contacts and cache hits per hour or day, calls and times per hour."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from sqlalchemy import ColumnExpressionArgument, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.identities import observations
from app.models.call import ApiCall, Purpose
from app.models.contact import same_contact
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.stats import HourlyStats

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOURS = 24
MAX_CALLS = 50_000  # rows read for one chart


@dataclass(frozen=True, slots=True)
class Bucket:
    """One hour or day that begins at `at` (aware): contacts by how they were shown at its end, messages, lookups."""

    at: datetime
    username: int = 0
    name: int = 0
    short_id: int = 0
    messages: int = 0
    lookups: int = 0

    @property
    def contacts(self) -> int:
        """All contacts."""
        return self.username + self.name + self.short_id

    @property
    def cache_percent(self) -> float | None:
        """Percentage of messages whose sender was already known, None without messages."""
        return 100 * max(0, self.messages - self.lookups) / self.messages if self.messages else None


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour that begins at `at` (aware UTC): identity calls, and the time to identify a new contact in ms."""

    at: datetime
    calls: int
    failed: int
    p50: int | None
    p95: int | None


def buckets(account_ids: Sequence[int], *, length: timedelta, zone: tzinfo) -> tuple[Bucket, ...]:
    """Return the last `length` up to now, oldest first: hours for one day, otherwise days in `zone`.

    Hours or days without figures are empty buckets.
    """
    hourly = length <= DAY
    now = clock.now().astimezone(zone)
    starts = [_start(now - (HOUR if hourly else DAY) * ago, hourly) for ago in range(HOURS if hourly else length.days)]
    found = select(HourlyStats).where(
        HourlyStats.account_id.in_(account_ids), HourlyStats.at >= starts[-1].astimezone(UTC)
    )
    rows: dict[datetime, list[HourlyStats]] = defaultdict(list)
    for row in db.session.scalars(found.order_by(HourlyStats.at)):
        rows[_start(row.at.astimezone(zone), hourly)].append(row)
    return tuple(_bucket(start, rows[start]) for start in reversed(starts))


def cache_percent(buckets: Sequence[Bucket]) -> float | None:
    """Return the percentage of messages in all buckets whose sender was already known, None without messages."""
    messages, lookups = sum(each.messages for each in buckets), sum(each.lookups for each in buckets)
    return Bucket(clock.now(), messages=messages, lookups=lookups).cache_percent


def hours(account_ids: Sequence[int]) -> tuple[tuple[Hour, ...], int | None]:
    """Return the last 24 hours, oldest first, and the p95 of the time to identify a new contact over all of them."""
    last = clock.now().replace(minute=0, second=0, microsecond=0)
    since = last - (HOURS - 1) * HOUR
    calls: dict[datetime, list[str | None]] = defaultdict(list)
    recent = select(ApiCall.at, ApiCall.code).where(
        ApiCall.account_id.in_(account_ids), ApiCall.at >= since, ApiCall.call.in_(budget.COUNTED)
    )
    for at, code in db.session.execute(recent.order_by(ApiCall.at.desc()).limit(MAX_CALLS)):
        calls[_start(at, hourly=True)].append(code)
    took = _identify_ms(account_ids, since)
    every = [last - ago * HOUR for ago in range(HOURS - 1, -1, -1)]
    shown = tuple(
        Hour(
            at,
            len(calls[at]),
            sum(code is not None for code in calls[at]),
            percentile(took[at], 50),
            percentile(took[at], 95),
        )
        for at in every
    )
    return shown, percentile([ms for of_hour in took.values() for ms in of_hour], 95)


def percentile(values: Sequence[int], percent: int) -> int | None:
    """Return the nearest-rank percentile of `values`, None if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None


def first_lookups(
    account_ids: Sequence[int], since: datetime, *conditions: ColumnExpressionArgument[bool]
) -> list[tuple[datetime, timedelta]]:
    """Return when each new contact first wrote, and how long the first lookup took from then on that found a name."""
    found = (
        select(Identity.id, Identity.first_seen_at, Conversation.first_message_at, ApiCall.at, ApiCall.took_ms)
        .join(Identity, same_contact(Identity, ApiCall))
        .join(Conversation, same_contact(Identity, Conversation))
        .where(
            *(ApiCall.account_id.in_(account_ids), ApiCall.at >= since),
            *(ApiCall.code.is_(None), ApiCall.took_ms.is_not(None)),
            *(Identity.first_seen_at >= since, ApiCall.at >= Identity.first_seen_at, *conditions),
        )
        .order_by(ApiCall.at)
        .limit(MAX_CALLS)
    )
    first = {row.id: row for row in reversed(db.session.execute(found).all())}
    return [
        (row.first_seen_at, row.at + timedelta(milliseconds=row.took_ms) - row.first_seen_at)
        for row in first.values()
        if row.first_message_at > row.first_seen_at - observations.LIVE
    ]


def _identify_ms(account_ids: Sequence[int], since: datetime) -> dict[datetime, list[int]]:
    """Return the times from a new contact's webhook to the end of the lookup that found a name, by hour of arrival."""
    took: dict[datetime, list[int]] = defaultdict(list)
    for first_seen_at, waited in first_lookups(account_ids, since, ApiCall.purpose == Purpose.LIVE):
        took[_start(first_seen_at, hourly=True)].append(round(waited / timedelta(milliseconds=1)))
    return took


def _start(at: datetime, hourly: bool) -> datetime:
    at = at.replace(minute=0, second=0, microsecond=0)
    return at if hourly else at.replace(hour=0)


def _bucket(start: datetime, rows: Sequence[HourlyStats]) -> Bucket:
    last = {row.account_id: row for row in rows}.values()
    return Bucket(
        start,
        username=sum(row.username for row in last),
        name=sum(row.name for row in last),
        short_id=sum(row.short_id for row in last),
        messages=sum(row.messages for row in rows),
        lookups=sum(row.lookups for row in rows),
    )
