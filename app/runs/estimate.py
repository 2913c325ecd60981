"""What a run costs and when it is done: counted from the call budget, not from hope (product.md 3)."""

import math
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app import clock
from app.calls import budget
from app.calls.budget import Forecast
from app.db.engine import db
from app.models.run import ItemState, Run, RunState
from app.runs import selection
from app.runs.selection import Selection

SECONDS_PER_PAGE = 0.6  # two conversation pages a second are allowed, and each is written down
SECONDS_PER_PERSON = 0.5  # assumed until the run has a speed of its own
NAMED_BY_PAGES = 0.85  # of those who stand on them, until the run knows better; some have no username


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many people a run would look up, with how many calls, in how many seconds (None when Redis is away)."""

    people: int
    calls: int
    seconds: int | None


def estimate_selection(crowd: Selection) -> Estimate:
    """Return what a run of these people would cost if it were started now."""
    wanted = selection.select_items(crowd).subquery()
    counted = select(func.count()).select_from(wanted).where(wanted.c.state == ItemState.TODO.value)
    total = db.session.execute(counted).scalar_one()
    swept = selection.plan_page_scan(crowd)
    alone = total - math.floor(swept.people * NAMED_BY_PAGES)
    calls = swept.pages + alone
    working = swept.pages * SECONDS_PER_PAGE + alone * SECONDS_PER_PERSON
    return Estimate(total, calls, _seconds(crowd.account_id, calls, working))


def seconds_left(run: Run) -> int | None:
    """Return the seconds a run still takes, its pause included; None when the budget cannot be asked.

    The speed is that of the contacts who cost calls: those who were fresh say nothing about the others.
    """
    looked_up = run.resolved + run.failed
    open_ = run.total - run.skipped - run.fresh - looked_up
    pages = max(0, run.sweep_pages - run.swept_pages)
    ahead = run.sweep_people * pages / run.sweep_pages if run.sweep_pages else 0
    alone = max(0.0, open_ - ahead * _named_by_pages(run))
    asked, made = looked_up - run.swept_people, run.calls - run.swept_pages
    calls_each, seconds_each = (made / asked, run.worked_seconds / asked) if asked and made > 0 else (1.0, 0.0)
    calls = pages + math.ceil(alone * calls_each)
    working = pages * SECONDS_PER_PAGE + alone * (seconds_each or SECONDS_PER_PERSON)
    return _seconds(run.account_id, calls, working, resume_at=run.resume_at)


def resume_at(run: Run) -> datetime | None:
    """Return when a paused job resumes (aware UTC): contacts who write may use the calls that it waits for."""
    if run.resume_at is None or run.state is not RunState.WAITING:
        return run.resume_at
    forecast = budget.forecast(run.account_id)
    return max(run.resume_at, forecast.free_at) if forecast and forecast.free_at > clock.now() else run.resume_at


def _named_by_pages(run: Run) -> float:
    if not run.swept_pages or not run.sweep_people:
        return NAMED_BY_PAGES
    return min(1.0, run.swept_people / (run.sweep_people * run.swept_pages / run.sweep_pages))


def _seconds(account_id: int, calls: int, working: float, *, resume_at: datetime | None = None) -> int | None:
    forecast = budget.forecast(account_id)
    if forecast is None:
        return None
    paused = _until(resume_at) if resume_at else 0.0
    return math.ceil(working + max(paused, _pauses(forecast, calls)))


def _pauses(forecast: Forecast, calls: int) -> float:
    """Seconds of waiting for the first call, and for the budget: what does not fit into this hour waits for calls to
    leave it, those of the run too.
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
