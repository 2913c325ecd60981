"""How well naming works: who is shown how, what was asked of Meta, and how long a new sender stays nameless."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import case, func, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.inbox import series
from app.inbox.series import Bucket, Hour
from app.instagram import errors
from app.labels import label
from app.models.identity import Identity, Lookup

PERIODS = {
    "day": ("24 hours", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
}
TARGET_MS = 500  # from a webhook's 200 to the name, p95 (product.md 2)
NAME_ONLY = "No username (name kept)"


@dataclass(frozen=True, slots=True)
class Change:
    """How many percentage points more people have a username than at `since` (aware UTC)."""

    points: float
    since: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class Insights:
    """The figures of some accounts over a period; None is what nobody counted. Times in milliseconds."""

    period: str
    people: int
    with_username: int
    by_short_id: int
    change: Change | None
    cache_percent: float | None
    p95: int | None
    used: int | None
    limit: int | None
    background_limit: int | None
    buckets: tuple[Bucket, ...]
    hours: tuple[Hour, ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def username_percent(self) -> float | None:
        """The share of people who are shown by a username."""
        return 100 * self.with_username / self.people if self.people else None

    @property
    def failures(self) -> int:
        """How many lookups brought no username, whatever the reason."""
        return sum(number for _, number in self.reasons)


def of(account_ids: Sequence[int], *, period: str, zone: tzinfo) -> Insights:
    """Return the figures of accounts that the caller may see; `zone` decides where a day begins."""
    length = PERIODS[period][1]
    people, with_username, by_short_id = _people(account_ids)
    forecasts = [found for account_id in account_ids if (found := budget.forecast(account_id))]
    known = len(forecasts) == len(account_ids) and bool(forecasts)
    buckets = series.buckets(account_ids, length=length, zone=zone)
    hours, p95 = series.hours(account_ids)
    return Insights(
        period=period,
        people=people,
        with_username=with_username,
        by_short_id=by_short_id,
        change=_change(buckets, 100 * with_username / people if people else None),
        cache_percent=series.ratio(series.buckets(account_ids, length=timedelta(days=1), zone=zone)),
        p95=p95,
        used=sum(each.used for each in forecasts) if known else None,
        limit=sum(each.limit for each in forecasts) if known else None,
        background_limit=sum(each.background_limit for each in forecasts) if known else None,
        buckets=buckets,
        hours=hours,
        reasons=_reasons(account_ids, clock.now() - length),
    )


def _people(account_ids: Sequence[int]) -> tuple[int, int, int]:
    nameless = Identity.username.is_(None) & Identity.name.is_(None)
    counted = select(func.count(), func.count(Identity.username), func.count(case((nameless, 1))))
    row = db.session.execute(counted.where(Identity.account_id.in_(account_ids))).one()
    return row[0], row[1], row[2]


def _change(buckets: Sequence[Bucket], percent: float | None) -> Change | None:
    first = next((each for each in buckets if each.people), None)
    if first is None or percent is None or first is buckets[-1]:
        return None
    return Change(percent - 100 * first.username / first.people, first.at, whole=first is buckets[0])


def _reasons(account_ids: Sequence[int], since: datetime) -> tuple[tuple[str, int], ...]:
    of_period = (Lookup.account_id.in_(account_ids), Lookup.at > since, Lookup.call == budget.PROFILE)
    failed = select(Lookup.code, func.count()).where(*of_period, Lookup.code.is_not(None)).group_by(Lookup.code)
    found: Counter[str] = Counter()
    for code, number in db.session.execute(failed):
        found[label(errors.reason_from_code(code or ""))] += number
    partly = select(func.count()).where(*of_period, Lookup.code.is_(None), Lookup.answer.startswith("name"))
    found[NAME_ONLY] += db.session.execute(partly).scalar_one()
    return tuple((words, number) for words, number in found.most_common() if number)
