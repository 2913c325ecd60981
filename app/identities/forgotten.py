"""Whom somebody had deleted: what is older than that stays away for good, and no row says who it was.

A tombstone holds a digest of account and person, and the time (reliability.md S53).
"""

from datetime import datetime

from sqlalchemy import func, select

from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.models.identity import Tombstone


def bury(tx: Tx, account_id: int, ig_participant_id: str, *, at: datetime) -> None:
    """State that a person of an account was deleted at `at` (aware UTC)."""
    insert = tx.insert(Tombstone).values(account_id=account_id, person=digest(ig_participant_id), at=at)
    tx.execute(insert.on_conflict_do_update(index_elements=["account_id", "person"], set_={"at": at}))


def is_(tx: Tx, account_id: int, ig_participant_id: str) -> bool:
    """Return whether this person was ever deleted."""
    return _at(tx, account_id, ig_participant_id) is not None


def covers(tx: Tx, account_id: int, ig_participant_id: str | None, sent_at: datetime) -> bool:
    """Return whether what this person sent at `sent_at` (aware UTC) was deleted with them, and is to stay away."""
    at = _at(tx, account_id, ig_participant_id) if ig_participant_id else None
    return at is not None and sent_at <= at


def last() -> datetime | None:
    """Return when anybody was last deleted."""
    return db.session.execute(select(func.max(Tombstone.at))).scalar()


def _at(tx: Tx, account_id: int, ig_participant_id: str) -> datetime | None:
    person = (Tombstone.account_id == account_id, Tombstone.person == digest(ig_participant_id))
    return tx.execute(select(Tombstone.at).where(*person)).scalar()
