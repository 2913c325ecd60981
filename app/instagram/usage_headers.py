"""Usage headers about Meta's rate limits (docs/meta-platform.md#rate-limits); parsed leniently, never raises."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.strict_json import load_json

FIGURES = ("call_count", "total_time", "total_cputime", "call_volume", "cpu_time")  # all in percent
USE_CASES = ("instagram", "pages", "messenger", None)  # None: an entry without a type
LONGEST_WAIT = timedelta(days=1)  # caps an absurd value in a header


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of Meta's limits is used, in percent, and when access returns (aware UTC); None if unknown."""

    app_percent: int | None = None
    account_percent: int | None = None
    regain_at: datetime | None = None

    @property
    def percent(self) -> int | None:
        """The higher of the app's and the account's figure, None without either."""
        return max((each for each in (self.app_percent, self.account_percent) if each is not None), default=None)


NO_USAGE = Usage()


def parse_usage(headers: Mapping[str, str], *, now: datetime, account_ids: Collection[str]) -> Usage:
    """Return the usage in a response's headers (lower-case names); absent and malformed ones are ignored.

    One header lists up to 32 business objects of the app. Only those of `account_ids` count, and only in the use cases
    of Nametag's calls, not advertising.
    """
    app = _json(headers.get("x-app-usage"))
    accounts = list(_entries(_json(headers.get("x-business-use-case-usage")), account_ids))
    minutes = max((_number(each.get("estimated_time_to_regain_access")) or 0 for each in accounts), default=0)
    return Usage(
        app_percent=_worst([app]) if isinstance(app, dict) else None,
        account_percent=_worst(accounts),
        regain_at=retry_time(now, minutes * 60),
    )


def retry_after(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Return the time in a Retry-After header in seconds (aware UTC), None without a valid one."""
    value = headers.get("retry-after", "").strip()
    return retry_time(now, float(value)) if value.isascii() and value.isdigit() else None


def retry_time(now: datetime, seconds: float) -> datetime | None:
    """Return the time `seconds` after `now`, at most a day later; None if `seconds` is not positive."""
    return now + timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds())) if seconds > 0 else None


def _json(header: str | None) -> Any:
    try:
        return load_json(header) if header else None
    except ValueError:
        return None


def _entries(usage: Any, account_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    for business_object, entries in usage.items() if isinstance(usage, dict) else ():
        if business_object in account_ids and isinstance(entries, list):
            yield from (each for each in entries if isinstance(each, dict) and each.get("type") in USE_CASES)


def _worst(usages: list[dict[str, Any]]) -> int | None:
    figures = [number for each in usages for name in FIGURES if (number := _number(each.get(name))) is not None]
    return math.ceil(max(figures)) if figures else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000_000:
        return None
    return value
