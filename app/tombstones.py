"""Tombstones of deleted contacts: prevent older messages from being stored again, without storing who it was.

A tombstone has a digest of the contact's ID and two times: `at`, when the contact was deleted by our clock, and
`until`, the newest of Meta's times that the deletion covers. Digests of the deleted messages and dead letters
recognize them whatever time they carry when they are delivered again.
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
from app.models.erasure import DeletedEvent, Tombstone

KEPT = timedelta(days=30)  # as long as a dead letter can be replayed; Meta retries a delivery for 36 hours
COVERED_UNTIL = func.coalesce(Tombstone.until, Tombstone.at)
CHUNK = 5_000  # digests per statement
_NUMBER = re.compile(rb"\d{5,64}")
_TIME = re.compile(rb'"time(?:stamp)?"\s*:\s*"?(\d{9,16})')
_MID = re.compile(rb'"mid"\s*:\s*"([^"\\]{1,512})"')


def add(tx: Tx, account_id: int, ig_participant_id: str, *, at: datetime, until: datetime | None = None) -> None:
    """Record that a contact was deleted at `at`, which covers Meta's times up to `until`, or `at`. Aware UTC."""
    add_digest(tx, account_id, digest(ig_participant_id), at=at, until=until)


def add_digest(tx: Tx, account_id: int, contact_digest: bytes, *, at: datetime, until: datetime | None = None) -> None:
    """Record as `add` does that the contact whose ID has this digest was deleted."""
    times = {"at": at, "until": until}
    insert = tx.insert(Tombstone).values(account_id=account_id, contact_digest=contact_digest, **times)
    tx.execute(insert.on_conflict_do_update(index_elements=["account_id", "contact_digest"], set_=times))


def exists(tx: Tx, account_id: int, ig_participant_id: str) -> bool:
    """Return whether this contact was ever deleted."""
    return _until(tx, account_id, ig_participant_id) is not None


def covers(tx: Tx, account_id: int, ig_participant_id: str | None, sent_at: datetime) -> bool:
    """Return whether a message that this contact sent at `sent_at` (aware UTC) was deleted with the contact."""
    return is_covered(_until(tx, account_id, ig_participant_id) if ig_participant_id else None, sent_at)


def is_covered(until: datetime | None, sent_at: datetime) -> bool:
    """Return whether a tombstone covers `sent_at`. One in the future comes from a wrong clock and covers nothing."""
    return until is not None and sent_at <= until <= clock.now() + messaging.FUTURE


def newest_covered_until(tx: Tx, account_id: int) -> datetime | None:
    """Return until when the newest tombstone of the account covers Meta's times (aware UTC), None without one."""
    return tx.execute(select(func.max(COVERED_UNTIL)).where(Tombstone.account_id == account_id)).scalar()


def any_deleted(tx: Tx, account_id: int | None, digests: Collection[bytes]) -> bool:
    """Return whether any of these messages or dead letters was deleted with its contact.

    `account_id` None means any account.
    """
    of_account = () if account_id is None else (DeletedEvent.account_id == account_id,)
    return any(
        tx.execute(select(DeletedEvent.id).where(DeletedEvent.digest.in_(some), *of_account).limit(1)).first()
        for some in _chunks(digests)
    )


def holds_deleted_data(tx: Tx, account_id: int | None, raw: bytes, raw_digest: bytes) -> bool:
    """Return whether raw bytes that could not be processed hold data that was deleted with a contact.

    They do if they or a message that they name were deleted, or if they name a deleted contact and are not newer than
    the deletion. Without a time they count as older. `account_id` None means any account.
    """
    of_account = () if account_id is None else (Tombstone.account_id == account_id,)
    if tx.execute(select(Tombstone.id).where(*of_account).limit(1)).first() is None:
        return False
    if any_deleted(tx, account_id, {raw_digest, *message_digests(raw)}):
        return True
    times = [at for number in _TIME.findall(raw) if (at := messaging.time_of(int(number), clock.now())) is not None]
    for some in _chunks(set(map(_digest, _NUMBER.findall(raw)))):
        for until in tx.execute(select(COVERED_UNTIL).where(Tombstone.contact_digest.in_(some), *of_account)).scalars():
            if not times or is_covered(until, min(times)):
                return True
    return False


def message_digests(raw: bytes) -> set[bytes]:
    """Return the digests of the message IDs in raw bytes."""
    return set(map(_digest, _MID.findall(raw)))


def last_deleted_at() -> datetime | None:
    """Return when a contact was last deleted (aware UTC), None if never."""
    return db.session.execute(select(func.max(Tombstone.at))).scalar()


def purge(tx: Tx, now: datetime) -> int:
    """Delete the digests of messages deleted over 30 days ago; tombstones cover those. Returns how many."""
    return int(tx.execute(delete(DeletedEvent).where(DeletedEvent.at < now - KEPT)).rowcount)


def _until(tx: Tx, account_id: int, ig_participant_id: str) -> datetime | None:
    of_contact = (Tombstone.account_id == account_id, Tombstone.contact_digest == digest(ig_participant_id))
    return tx.execute(select(COVERED_UNTIL).where(*of_contact)).scalar()


def _digest(found: bytes) -> bytes:
    return digest(found.decode(errors="replace"))


def _chunks(digests: Collection[bytes]) -> Iterator[list[bytes]]:
    listed = list(digests)
    for begin in range(0, len(listed), CHUNK):
        yield listed[begin : begin + CHUNK]
