"""Deleted contacts: what is older than the deletion, or was deleted with them, stays deleted; no row names them.

A tombstone holds a digest of account and contact, and two times: when they were deleted by our clock, and until when
Meta's times are covered. Digests of the deleted messages recognize them whatever time they carry when they come again.
"""

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from app import clock
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.instagram import messaging
from app.models.identity import Tombstone
from app.models.inbox import DeletedEvent

KEPT = timedelta(days=30)  # as long as a dead letter can be replayed; Meta delivers again for 36 hours
UNTIL = func.coalesce(Tombstone.until, Tombstone.at)
CHUNK = 5_000  # digests a statement
_NUMBER = re.compile(rb"\d{5,64}")
_TIME = re.compile(rb'"time(?:stamp)?"\s*:\s*"?(\d{9,16})')
_MID = re.compile(rb'"mid"\s*:\s*"([^"\\]{1,512})"')


def bury(tx: Tx, account_id: int, ig_participant_id: str, *, at: datetime, until: datetime | None = None) -> None:
    """Record that a contact was deleted at `at`; what Meta dates up to `until`, or `at`, is covered. Aware UTC."""
    times = {"at": at, "until": until}
    insert = tx.insert(Tombstone).values(account_id=account_id, person=digest(ig_participant_id), **times)
    tx.execute(insert.on_conflict_do_update(index_elements=["account_id", "person"], set_=times))


def is_(tx: Tx, account_id: int, ig_participant_id: str) -> bool:
    """Return whether this contact was ever deleted."""
    return _until(tx, account_id, ig_participant_id) is not None


def covers(tx: Tx, account_id: int, ig_participant_id: str | None, sent_at: datetime) -> bool:
    """Return whether what this contact sent at `sent_at` (aware UTC) was deleted with them, and must stay deleted."""
    return is_covered(_until(tx, account_id, ig_participant_id) if ig_participant_id else None, sent_at)


def is_covered(until: datetime | None, sent_at: datetime) -> bool:
    """Return whether a tombstone covers `sent_at`; one of the future comes from a wrong clock and covers nothing."""
    return until is not None and sent_at <= until <= clock.now() + messaging.FUTURE


def newest(tx: Tx, account_id: int) -> datetime | None:
    """Return until when the account's newest tombstone covers Meta's times."""
    return tx.execute(select(func.max(UNTIL)).where(Tombstone.account_id == account_id)).scalar()


def knows(tx: Tx, account_id: int | None, digests: Collection[bytes]) -> bool:
    """Return whether one of these messages or dead letters was deleted with its contact; None means any account."""
    of_account = () if account_id is None else (DeletedEvent.account_id == account_id,)
    return any(
        tx.execute(select(DeletedEvent.id).where(DeletedEvent.digest.in_(some), *of_account).limit(1)).first()
        for some in _chunks(digests)
    )


def holds(tx: Tx, account_id: int | None, raw: bytes, raw_digest: bytes) -> bool:
    """Return whether something raw that could not be processed holds what was deleted with a contact.

    It does when it or a message that it names was deleted, or when it names a deleted contact and is not newer than
    the deletion. Without any time it counts as older. `account_id` None means any account.
    """
    of_account = () if account_id is None else (Tombstone.account_id == account_id,)
    if tx.execute(select(Tombstone.id).where(*of_account).limit(1)).first() is None:
        return False
    if knows(tx, account_id, {raw_digest, *mids(raw)}):
        return True
    times = [at for number in _TIME.findall(raw) if (at := messaging.time_of(int(number), clock.now())) is not None]
    for some in _chunks(set(map(_digest, _NUMBER.findall(raw)))):
        for until in tx.execute(select(UNTIL).where(Tombstone.person.in_(some), *of_account)).scalars():
            if not times or is_covered(until, min(times)):
                return True
    return False


def mids(raw: bytes) -> set[bytes]:
    """Return the digests of the messages that something raw names."""
    return set(map(_digest, _MID.findall(raw)))


def last() -> datetime | None:
    """Return when a contact was last deleted."""
    return db.session.execute(select(func.max(Tombstone.at))).scalar()


def purge(tx: Tx, now: datetime) -> int:
    """Drop digests of deleted messages after 30 days: the tombstones cover what is older. Returns how many."""
    return int(tx.execute(delete(DeletedEvent).where(DeletedEvent.at < now - KEPT)).rowcount)


def _until(tx: Tx, account_id: int, ig_participant_id: str) -> datetime | None:
    person = (Tombstone.account_id == account_id, Tombstone.person == digest(ig_participant_id))
    return tx.execute(select(UNTIL).where(*person)).scalar()


def _digest(found: bytes) -> bytes:
    return digest(found.decode(errors="replace"))


def _chunks(digests: Collection[bytes]) -> Iterator[list[bytes]]:
    every = list(digests)
    for begin in range(0, len(every), CHUNK):
        yield every[begin : begin + CHUNK]
