"""Duties that remember when they run. Each has a row, which survives a restart; one of several schedulers takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.models.process import SchedulerDuty

INTERRUPTED_AFTER = timedelta(minutes=15)  # a run that takes longer was killed


@dataclass(frozen=True, slots=True)
class DutyOutcome:
    """What a run of a duty did: numbers by what they count. `skipped` says why it did nothing, or not everything."""

    result: Mapping[str, Any] | None = field(default_factory=dict)
    skipped: str | None = None


def claim(name: str, every: timedelta, *, at_first: bool = True) -> bool:
    """Return whether the duty `name` is due or requested, and record that it runs now.

    Of several schedulers only one gets True; it calls `finish` afterwards. `at_first`: a duty that has never been
    recorded is due now, else after one period.
    """
    now = clock.now()
    # A time further ahead than one period was written by a wrong clock.
    period_over = or_(SchedulerDuty.last_run_at <= now - every, SchedulerDuty.last_run_at > now + every)
    interrupted = and_(SchedulerDuty.running_since.is_not(None), ~is_running(now))
    on_time = and_(SchedulerDuty.off_at.is_(None), or_(period_over, interrupted))
    due = and_(~is_running(now), or_(on_time, SchedulerDuty.requested_at.is_not(None)))
    is_due = db.session.execute(select(due).where(SchedulerDuty.name == name)).scalar()
    db.session.rollback()
    if is_due is False:
        return False
    with transaction.write() as tx:
        add(tx, name, every, at_first=at_first)
        taken = update(SchedulerDuty).where(SchedulerDuty.name == name, due)
        return bool(tx.execute(taken.values(last_run_at=now, running_since=now, requested_at=None)).rowcount)


def finish(name: str, outcome: DutyOutcome) -> None:
    """Record what the run of a claimed duty did."""
    now = clock.now()
    values: dict[str, object] = {"running_since": None}
    if outcome.result is not None:
        values |= {"last_at": now, "result": dict(outcome.result)}
    if outcome.skipped:
        values |= {"skipped_at": now, "skipped_why": outcome.skipped}
    with transaction.write() as tx:
        tx.execute(update(SchedulerDuty).where(SchedulerDuty.name == name).values(**values))


def add(tx: Tx, name: str, every: timedelta, *, at_first: bool) -> None:
    """Add the row of a duty unless it exists."""
    now = clock.now()
    row = tx.insert(SchedulerDuty).values(name=name, last_run_at=now - every if at_first else now)
    tx.execute(row.on_conflict_do_nothing())


def is_running(now: datetime) -> ColumnElement[bool]:
    """Return the condition for a duty whose run has not ended and was not interrupted; never NULL."""
    since = SchedulerDuty.running_since
    soon = now + INTERRUPTED_AFTER  # a later time was written by a wrong clock
    return and_(since.is_not(None), since > now - INTERRUPTED_AFTER, since < soon)
