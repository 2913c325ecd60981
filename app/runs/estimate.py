"""Estimate the calls and the duration of a job, including its waits for the API call budget."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import clock
from app.calls import budget
from app.calls.budget import Forecast
from app.models.run import ACTIVE, Run, RunState
from app.runs import kinds
from app.runs.selection import PageScan

SECONDS_PER_PAGE = 0.6  # two pages per second are allowed, and storing one takes time
SECONDS_PER_CONTACT = 0.5  # assumed until the job's own speed is known
SECONDS_PER_SYNC_PAGE = 2.0  # with up to 1,000 messages to store
RESOLVED_BY_PAGES = 0.85  # of the contacts on the pages, until the job's own share is known; some have no username


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many calls a job would make, and how long it would take; seconds are None without Redis."""

    calls: int
    seconds: int | None


def estimate_contacts(contacts: int, scan: PageScan, forecast: Forecast | None) -> Estimate:
    """Return the estimate of a job that looks up so many contacts, as if it started now with this budget."""
    alone = contacts - math.floor(scan.people * RESOLVED_BY_PAGES)
    calls = scan.pages + alone
    working = scan.pages * SECONDS_PER_PAGE + alone * SECONDS_PER_CONTACT
    return Estimate(calls, _seconds(forecast, calls, working))


def estimate_pages(pages: int, forecast: Forecast | None, *, resume_at: datetime | None = None) -> int | None:
    """Return the seconds in which a sync reads so many conversation pages with this budget; None without it.

    It starts now, or at `resume_at` (aware UTC).
    """
    return _seconds(forecast, pages, pages * SECONDS_PER_SYNC_PAGE, resume_at=resume_at)


def minute_up(at: datetime) -> datetime:
    """Return the time rounded up to a minute: times are shown in minutes, and rounded down "done by" is too early."""
    return at + timedelta(seconds=-at.timestamp() % 60)


def seconds_left(run: Run) -> int | None:
    """Return the remaining seconds of a job, its pause included; None while Redis is unavailable.

    The speed is that of contacts that cost calls: fresh ones say nothing about the others.
    """
    if kinds.syncs(run.kind):
        pages = max(1, run.scan_pages - run.scanned_pages)
        return estimate_pages(pages, budget.forecast(run.account_id), resume_at=run.resume_at)
    _, calls, working = _rest(run)
    return _seconds(budget.forecast(run.account_id), calls, working, resume_at=run.resume_at)


def per_second(run: Run) -> float | None:
    """Return how many contacts a job looks up per second, None while it does not work or has looked up none.

    Of a running job it is the rate of the rest, so that it agrees with `seconds_left`; of one that ended, the average.
    """
    settled = run.resolved + run.fresh + run.failed
    if not settled or not run.worked_seconds:
        return None
    if run.state in (RunState.RUNNING, RunState.CANCELING) and not kinds.syncs(run.kind):
        contacts, _, working = _rest(run)
        return contacts / working if contacts and working else None
    return None if run.state in ACTIVE else settled / run.worked_seconds


def _rest(run: Run) -> tuple[int, int, float]:
    """Return the contacts without a result, and the calls and seconds of work that they will take, without pauses."""
    looked_up = run.resolved + run.failed
    open_ = run.total - run.skipped - run.fresh - looked_up
    pages = max(0, run.scan_pages - run.scanned_pages)
    ahead = run.scan_contacts * pages / run.scan_pages if run.scan_pages else 0
    alone = max(0.0, open_ - ahead * _resolved_by_pages(run))
    alone_so_far, made = looked_up - run.scanned_contacts, run.calls - run.scanned_pages
    calls_each, seconds_each = (
        (made / alone_so_far, run.worked_seconds / alone_so_far) if alone_so_far and made > 0 else (1.0, 0.0)
    )
    calls = pages + math.ceil(alone * calls_each)
    return open_, calls, pages * SECONDS_PER_PAGE + alone * (seconds_each or SECONDS_PER_CONTACT)


def resume_at(run: Run) -> datetime | None:
    """Return when a paused job resumes (aware UTC): contacts who write may use the calls that it waits for."""
    if run.resume_at is None or run.state is not RunState.WAITING:
        return run.resume_at
    forecast = budget.forecast(run.account_id)
    return max(run.resume_at, forecast.free_at) if forecast and forecast.free_at > clock.now() else run.resume_at


def _resolved_by_pages(run: Run) -> float:
    if not run.scanned_pages or not run.scan_contacts:
        return RESOLVED_BY_PAGES
    return min(1.0, run.scanned_contacts / (run.scan_contacts * run.scanned_pages / run.scan_pages))


def _seconds(forecast: Forecast | None, calls: int, working: float, *, resume_at: datetime | None = None) -> int | None:
    if forecast is None:
        return None
    paused = _until(resume_at) if resume_at else 0.0
    return math.ceil(working + max(paused, _pauses(forecast, calls)))


def _pauses(forecast: Forecast, calls: int) -> float:
    """Return the seconds of waiting for the budget.

    Calls that do not fit into the present hour wait until earlier calls are older than that, the job's own included.
    """
    hour = max(1, forecast.background_limit)
    left = max(0, hour - forecast.used)
    first = _until(forecast.free_at) if calls else 0.0
    if calls <= left:
        return first
    whole_hours, rest = divmod(calls - 1, hour)
    free_again = _until(forecast.resets_at or forecast.free_at)
    return max(first, whole_hours * budget.WINDOW_SECONDS + (free_again if rest >= left else 0.0))


def _until(at: datetime) -> float:
    return max(0.0, (at - clock.now()).total_seconds())
