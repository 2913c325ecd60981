"""How well naming works: who is shown how, what was asked of Meta, and how long it took."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.identities.reasons import MEANINGS
from app.models.identity import Identity, Lookup
from app.models.run import Run

DAYS, HOURS = 30, 24
MOST_CALLS = 20_000
TARGET_MS = 500  # from a webhook's 200 to the name (product.md 2)


@dataclass(frozen=True, slots=True)
class Shown:
    """How the people who first wrote on a day are shown today."""

    day: str
    username: int
    name: int
    short_id: int


@dataclass(frozen=True, slots=True)
class Hour:
    """The calls of one hour; `at` is its beginning, aware UTC. Times in milliseconds, None without an answer."""

    at: datetime
    calls: int
    failed: int
    p50: int | None
    p95: int | None


@dataclass(frozen=True, slots=True)
class Insights:
    """The figures of one account."""

    people: int
    with_username: int
    by_short_id: int
    cache_percent: int | None
    p95: int | None
    calls_this_hour: int | None
    limit: int | None
    days: tuple[Shown, ...]
    hours: tuple[Hour, ...]
    reasons: tuple[tuple[str, int], ...]


def of(account_id: int) -> Insights:
    """Return the figures of an account that the caller may see, from rows alone."""
    since = clock.now() - timedelta(hours=HOURS)
    calls = db.session.execute(
        select(Lookup.at, Lookup.took_ms, Lookup.code)
        .where(Lookup.account_id == account_id, Lookup.at > since, Lookup.call.in_(budget.COUNTED))
        .order_by(Lookup.at.desc())
        .limit(MOST_CALLS)
    ).all()
    forecast = budget.forecast(account_id)
    days = _days(account_id)
    total = db.session.execute(
        select(func.count(), func.count(Identity.username), func.count(case((_NAMELESS, 1)))).where(
            Identity.account_id == account_id
        )
    ).one()
    return Insights(
        people=total[0],
        with_username=total[1],
        by_short_id=total[2],
        cache_percent=_cache_percent(account_id),
        p95=_percentile([row.took_ms for row in calls if row.took_ms is not None], 95),
        calls_this_hour=forecast.used if forecast else None,
        limit=forecast.limit if forecast else None,
        days=days,
        hours=_hours([(row.at, row.took_ms, row.code) for row in calls]),
        reasons=_reasons(account_id),
    )


_NAMELESS = Identity.username.is_(None) & Identity.name.is_(None)


def _days(account_id: int) -> tuple[Shown, ...]:
    day = func.date(Identity.met_at)
    counted = (
        select(
            day.label("day"),
            func.count(Identity.username).label("username"),
            func.count(case((_NAMELESS, 1))).label("short_id"),
            func.count().label("people"),
        )
        .where(Identity.account_id == account_id, Identity.met_at > clock.now() - timedelta(days=DAYS))
        .group_by(day)
    )
    found = {str(row.day): row for row in db.session.execute(counted)}
    today = clock.now().date()
    every = [str(today - timedelta(days=ago)) for ago in range(DAYS - 1, -1, -1)]
    return tuple(
        Shown(each, row.username, row.people - row.username - row.short_id, row.short_id)
        if (row := found.get(each))
        else Shown(each, 0, 0, 0)
        for each in every
    )


def _hours(calls: list[tuple[datetime, int | None, str | None]]) -> tuple[Hour, ...]:
    last = clock.now().replace(minute=0, second=0, microsecond=0)
    by_hour: dict[datetime, list[tuple[int | None, str | None]]] = {}
    for at, took_ms, code in calls:
        by_hour.setdefault(at.replace(minute=0, second=0, microsecond=0), []).append((took_ms, code))
    hours = []
    for ago in range(HOURS - 1, -1, -1):
        at = last - timedelta(hours=ago)
        made = by_hour.get(at, [])
        took = [ms for ms, _ in made if ms is not None]
        failed = sum(code is not None for _, code in made)
        hours.append(Hour(at, len(made), failed, _percentile(took, 50), _percentile(took, 95)))
    return tuple(hours)


def _reasons(account_id: int) -> tuple[tuple[str, int], ...]:
    failed = Identity.last_error.is_not(None)
    counted = select(Identity.last_error, func.count()).where(Identity.account_id == account_id, failed)
    found = Counter({str(row[0]): row[1] for row in db.session.execute(counted.group_by(Identity.last_error))})
    return tuple((MEANINGS[key].verdict if key in MEANINGS else key, number) for key, number in found.most_common())


def _cache_percent(account_id: int) -> int | None:
    since = clock.now() - timedelta(days=DAYS)
    settled = Run.resolved + Run.fresh + Run.failed
    row = db.session.execute(
        select(func.sum(Run.cache_hits), func.sum(settled)).where(Run.account_id == account_id, Run.created_at > since)
    ).one()
    return round(100 * row[0] / row[1]) if row[1] else None


def _percentile(values: list[int], percent: int) -> int | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None
