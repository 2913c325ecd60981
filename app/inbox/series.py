"""What the charts show: how people were shown and what the cache spared by hour or day, and the calls of a day."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from sqlalchemy import and_, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.identities import observations
from app.models.identity import HourFigures, Identity, Lookup, Purpose
from app.models.inbox import Conversation

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOURS = 24
MOST_CALLS = 50_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """One hour or day that begins at `at` (aware): how people were shown at its end, what came and was asked in it."""

    at: datetime
    username: int = 0
    name: int = 0
    short_id: int = 0
    messages: int = 0
    lookups: int = 0

    @property
    def people(self) -> int:
        """Everyone who was known of."""
        return self.username + self.name + self.short_id

    @property
    def cache_percent(self) -> float | None:
        """The share of messages whose sender was shown without a call, None without a message."""
        return 100 * max(0, self.messages - self.lookups) / self.messages if self.messages else None


@dataclass(frozen=True, slots=True)
class Hour:
    """The calls of one hour that begins at `at` (aware UTC), and how long new senders stayed nameless, in ms."""

    at: datetime
    calls: int
    failed: int
    p50: int | None
    p95: int | None


def buckets(account_ids: Sequence[int], *, length: timedelta, zone: tzinfo) -> tuple[Bucket, ...]:
    """Return a period up to now, by the hour if it is a day long, else by the reader's days; gaps are empty."""
    hourly = length <= DAY
    now = clock.now().astimezone(zone)
    starts = [_start(now - (HOUR if hourly else DAY) * ago, hourly) for ago in range(HOURS if hourly else length.days)]
    found = select(HourFigures).where(
        HourFigures.account_id.in_(account_ids), HourFigures.at >= starts[-1].astimezone(UTC)
    )
    rows: dict[datetime, list[HourFigures]] = defaultdict(list)
    for row in db.session.scalars(found.order_by(HourFigures.at)):
        rows[_start(row.at.astimezone(zone), hourly)].append(row)
    return tuple(_bucket(start, rows[start]) for start in reversed(starts))


def ratio(of: Sequence[Bucket]) -> float | None:
    """Return the cache's share over several buckets together, None without a message."""
    everything = Bucket(clock.now(), messages=sum(b.messages for b in of), lookups=sum(b.lookups for b in of))
    return everything.cache_percent


def hours(account_ids: Sequence[int]) -> tuple[tuple[Hour, ...], int | None]:
    """Return the last 24 hours, oldest first, and the p95 of how long a new sender stayed nameless in all of them."""
    last = clock.now().replace(minute=0, second=0, microsecond=0)
    since = last - (HOURS - 1) * HOUR
    calls: dict[datetime, list[str | None]] = defaultdict(list)
    made = select(Lookup.at, Lookup.code).where(
        Lookup.account_id.in_(account_ids), Lookup.at >= since, Lookup.call.in_(budget.COUNTED)
    )
    for at, code in db.session.execute(made.order_by(Lookup.at.desc()).limit(MOST_CALLS)):
        calls[_start(at, hourly=True)].append(code)
    took = _nameless_ms(account_ids, since)
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
    """Return the value that `percent` of the others do not exceed, None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None


def _nameless_ms(account_ids: Sequence[int], since: datetime) -> dict[datetime, list[int]]:
    """From the webhook that brought a person to the end of the lookup that named them, by the hour they came in."""
    same = and_(Identity.account_id == Lookup.account_id, Identity.ig_participant_id == Lookup.ig_participant_id)
    talk = and_(
        Conversation.account_id == Identity.account_id, Conversation.ig_participant_id == Identity.ig_participant_id
    )
    named = (
        select(Identity.id, Identity.met_at, Conversation.first_message_at, Lookup.at, Lookup.took_ms)
        .join(Identity, same)
        .join(Conversation, talk)
        .where(
            *(Lookup.account_id.in_(account_ids), Lookup.at >= since, Lookup.purpose == Purpose.LIVE),
            *(Lookup.code.is_(None), Lookup.took_ms.is_not(None)),
            *(Identity.met_at >= since, Lookup.at >= Identity.met_at),
        )
        .order_by(Lookup.at)
        .limit(MOST_CALLS)
    )
    first = {row.id: row for row in reversed(db.session.execute(named).all())}
    took: dict[datetime, list[int]] = defaultdict(list)
    for row in (each for each in first.values() if each.first_message_at > each.met_at - observations.LIVE):
        waited = row.at + timedelta(milliseconds=row.took_ms) - row.met_at
        took[_start(row.met_at, hourly=True)].append(round(waited / timedelta(milliseconds=1)))
    return took


def _start(at: datetime, hourly: bool) -> datetime:
    at = at.replace(minute=0, second=0, microsecond=0)
    return at if hourly else at.replace(hour=0)


def _bucket(start: datetime, rows: Sequence[HourFigures]) -> Bucket:
    last = {row.account_id: row for row in rows}.values()
    return Bucket(
        start,
        username=sum(row.username for row in last),
        name=sum(row.name for row in last),
        short_id=sum(row.short_id for row in last),
        messages=sum(row.messages for row in rows),
        lookups=sum(row.lookups for row in rows),
    )
