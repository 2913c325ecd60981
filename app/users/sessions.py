"""Sessions that ended before their cookie expired: a copy of the cookie must not work."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, exists

from app import audit, clock
from app.db import transaction
from app.db.transaction import Tx
from app.models.audit import Action
from app.models.user import EndedSession
from app.viewer import Viewer

MAX_AGE = timedelta(days=7)  # of a session, even while it is used

HAS_ENDED = exists().where(EndedSession.id == bindparam("session_id"))


def end(viewer: Viewer, session_id: str) -> None:
    """End one session of `viewer`; the others stay."""
    with transaction.write() as tx:
        ended = tx.insert(EndedSession).values(id=session_id, ended_at=clock.now())
        tx.execute(ended.on_conflict_do_nothing())
        audit.note(tx, viewer, Action.SESSION_ENDED)


def purge(tx: Tx, now: datetime) -> int:
    """Delete rows that are older than any cookie. Return their number."""
    return int(tx.execute(delete(EndedSession).where(EndedSession.ended_at < now - MAX_AGE)).rowcount)
