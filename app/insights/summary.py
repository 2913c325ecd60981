"""Figures of the Insights page: how contacts are identified, API calls, cache hits, time to identify, failures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import func, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.db.planning import planned_for_values
from app.insights import charts, hourly_stats, service_levels
from app.insights.charts import Bucket, Hour
from app.insights.service_levels import ServiceLevel
from app.instagram import errors
from app.labels import label
from app.models.call import WITHOUT_USERNAME, ApiCall

PERIODS = {
    "day": ("24 hours", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
}
TARGET_MS = 500  # from the webhook's response to the name in the database, p95
NAME_ONLY = "No username (name kept)"


@dataclass(frozen=True, slots=True)
class UsernameShareChange:
    """Change of the share of contacts with a username, in percentage points, since `since` (aware UTC).

    `whole` is True if that is the whole period, False if it is only the part for which there are figures.
    """

    points: float
    since: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class Insights:
    """Figures of one or more accounts over a period. None means that there is no data. Times in milliseconds."""

    period: str
    contacts: int
    with_username: int
    by_short_id: int
    change: UsernameShareChange | None
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
        """Percentage of contacts with a username, None without contacts."""
        return 100 * self.with_username / self.contacts if self.contacts else None

    @property
    def failures(self) -> int:
        """Number of lookups without a username as their result."""
        return sum(number for _, number in self.reasons)


@planned_for_values()
def get_insights(account_ids: Sequence[int], *, period: str, zone: tzinfo) -> Insights:
    """Return the figures of accounts that the caller may see.

    `period` is one of PERIODS; days begin at midnight in `zone`.
    """
    length = PERIODS[period][1]
    now = hourly_stats.current_contacts(account_ids)
    forecasts = [found for account_id in account_ids if (found := budget.forecast(account_id))]
    known = len(forecasts) == len(account_ids) and bool(forecasts)
    *earlier, last = charts.buckets(account_ids, length=length, zone=zone)
    buckets = (*earlier, replace(last, username=now.username, name=now.name, short_id=now.short_id))
    hours, p95 = charts.hours(account_ids)
    return Insights(
        period=period,
        contacts=now.total,
        with_username=now.username,
        by_short_id=now.short_id,
        change=_username_change(buckets, 100 * now.username / now.total if now.total else None),
        cache_percent=charts.cache_percent(charts.buckets(account_ids, length=timedelta(days=1), zone=zone)),
        p95=p95,
        used=sum(each.used for each in forecasts) if known else None,
        limit=sum(each.limit for each in forecasts) if known else None,
        background_limit=sum(each.background_limit for each in forecasts) if known else None,
        buckets=buckets,
        hours=hours,
        reasons=_reasons(account_ids, clock.now() - length),
    )


def get_service_levels(account_ids: Sequence[int]) -> tuple[ServiceLevel, ...]:
    """Return the service levels of the last 30 days for accounts that the caller may see.

    As the newest snapshots say, like the numbers of contacts.
    """
    counted = hourly_stats.newest_naming(account_ids)
    return service_levels.of_counts(
        counted.get(account_id) or service_levels.count(account_id) for account_id in account_ids
    )


def as_dict(found: Insights) -> dict[str, Any]:
    """Return the figures as API and command line show them."""
    return {
        "period": found.period,
        "contacts": found.contacts,
        "withUsername": found.with_username,
        "unknown": found.by_short_id,
        "usernamePercent": found.username_percent,
        "cachePercent": found.cache_percent,
        "identifiedP95Ms": found.p95,
        "callsUsed": found.used,
        "callsPerHour": found.limit,
        "failures": [{"reason": reason, "lookups": number} for reason, number in found.reasons],
        "history": [
            {
                "at": clock.rfc3339(each.at),
                "withUsername": each.username,
                "withName": each.name,
                "unknown": each.short_id,
                "messages": each.messages,
                "lookups": each.lookups,
            }
            for each in found.buckets
        ],
    }


def _username_change(buckets: Sequence[Bucket], percent: float | None) -> UsernameShareChange | None:
    first = next((each for each in buckets if each.contacts), None)
    if first is None or percent is None or first is buckets[-1]:
        return None
    return UsernameShareChange(percent - 100 * first.username / first.contacts, first.at, whole=first is buckets[0])


def _reasons(account_ids: Sequence[int], since: datetime) -> tuple[tuple[str, int], ...]:
    of_period = (ApiCall.account_id.in_(account_ids), ApiCall.at > since, ApiCall.call == budget.PROFILE)
    counted = select(ApiCall.code, func.count()).where(*of_period, WITHOUT_USERNAME).group_by(ApiCall.code)
    found: Counter[str] = Counter()
    for code, number in db.session.execute(counted):
        found[NAME_ONLY if code is None else label(errors.reason_from_code(code))] += number
    return tuple(found.most_common())
