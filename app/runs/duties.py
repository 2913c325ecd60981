"""When the scheduler last ran its hourly and daily duties. Each duty has a row, which survives a restart."""

from datetime import timedelta

from sqlalchemy import or_, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.process import SchedulerDuty


def claim(name: str, every: timedelta, *, at_first: bool = True) -> bool:
    """Return whether the duty `name` is due, and record that it runs now.

    Of several schedulers only one gets True. `at_first` is the result for a duty that has never been recorded.
    """
    now = clock.now()
    # A time further ahead than one period was written by a wrong clock.
    due = or_(SchedulerDuty.last_run_at <= now - every, SchedulerDuty.last_run_at > now + every)
    is_due = db.session.execute(select(due).where(SchedulerDuty.name == name)).scalar()
    db.session.rollback()
    if is_due is False:
        return False
    with transaction.write() as tx:
        new = tx.insert(SchedulerDuty).values(name=name, last_run_at=now).on_conflict_do_nothing()
        if tx.execute(new.returning(SchedulerDuty.name)).first():
            return at_first
        taken = tx.execute(update(SchedulerDuty).where(SchedulerDuty.name == name, due).values(last_run_at=now))
        return bool(taken.rowcount)
