"""Whether data was deleted recently, so that the scheduler clears what files still hold of it."""

from datetime import timedelta

from sqlalchemy import func, select

from app import clock, tombstones
from app.db.engine import db
from app.models.erasure import OwnerRequest

RECENT = timedelta(minutes=2)


def deleted_recently() -> bool:
    """Return whether a contact or an account was deleted in the last two minutes."""
    last = (tombstones.last_deleted_at(), db.session.execute(select(func.max(OwnerRequest.done_at))).scalar())
    return any(at is not None and abs(clock.now() - at) < RECENT for at in last)
