"""Dead letters: events that could not be processed, each stored once with the reason, to replay or discard.

Notes are events that were processed only in part: the message is shown without the rest.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Row, Select, delete, func, select, tuple_

from app import audit, clock, counters, logs, tombstones
from app.db import transaction
from app.db.engine import db
from app.db.paging import fetch_page
from app.db.paging import make_cursor as make_cursor  # for the web, which does not import app.db
from app.db.paging import parse_cursor as parse_cursor
from app.db.transaction import Tx
from app.db.types import DIGEST_BYTES, UTCDateTime, digest
from app.errors import NotFound
from app.instagram.webhook import WebhookItem
from app.models.account import Account
from app.models.audit import Action
from app.models.ingest import DeadLetter
from app.text import escape_invisible
from app.viewer import Role, Viewer

logger = logging.getLogger(__name__)

KEPT = timedelta(days=30)
UNRESOLVED = "unresolved"  # an announced message that Meta never delivered
PARTLY_UNDERSTOOD = "partly_understood"  # a note, not a dead letter
MOST_NOTES = 1_000
PAGE = 50
SHOWN_BYTES = 16_384  # of each dead letter in a list; an unreadable body can have 4 MiB

_LISTED = (
    *(DeadLetter.id, DeadLetter.account_id, DeadLetter.ig_account_id, DeadLetter.reason, DeadLetter.explanation),
    *(DeadLetter.times, DeadLetter.received_at, func.length(DeadLetter.raw).label("size")),
    func.substr(DeadLetter.raw, 1, SHOWN_BYTES, type_=LargeBinary).label("raw"),
)


def keep(tx: Tx, item: WebhookItem, *, account_id: int | None, reason: str, explanation: str, at: datetime) -> bool:
    """Store one item of a delivery as a dead letter; the same item again only increments its count.

    Return False and store nothing if the item belongs to a deleted contact. `at` is aware UTC.
    """
    raw = json.dumps(item.raw, ensure_ascii=True, sort_keys=True).encode()
    mid = item.event.mid if item.event else ""
    return _keep(
        tx,
        raw,
        account_id=account_id,
        ig_account_id=item.ig_account_id,
        mid_digest=digest(mid) if mid else None,
        reason=reason,
        explanation=explanation,
        at=at,
    )


def keep_partly_understood(tx: Tx, item: WebhookItem, *, account_id: int, at: datetime) -> None:
    """Store a note about an item whose message is shown without its unknown parts. `at` is aware UTC."""
    explanation = f"The message is shown in part: {'; '.join(item.gaps)}."
    keep(tx, item, account_id=account_id, reason=PARTLY_UNDERSTOOD, explanation=explanation, at=at)


def keep_body(tx: Tx, body: bytes, *, explanation: str, at: datetime) -> bool:
    """Store a signed body that cannot be parsed; return as `keep` does. `at` is aware UTC."""
    return _keep(
        tx,
        body,
        account_id=None,
        ig_account_id=None,
        mid_digest=None,
        reason="unreadable",
        explanation=explanation,
        at=at,
    )


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters: those with a reason, of a professional account ID, or all. Notes have a reason of theirs."""

    reason: str | None = None
    ig_account_id: str | None = None

    def conditions(self, *, notes: bool) -> list[ColumnElement[bool]]:
        """Return the conditions on `dead_letters`; without `notes`, notes are left out unless asked for."""
        found = [] if notes or self.reason else [DeadLetter.reason != PARTLY_UNDERSTOOD]
        if self.reason:
            found.append(DeadLetter.reason == self.reason)
        if self.ig_account_id:
            found.append(DeadLetter.ig_account_id == self.ig_account_id)
        return found


ALL = LetterFilter()


def newest(viewer: Viewer, want: LetterFilter = ALL, *, limit: int = PAGE) -> Sequence[Row[Any]]:
    """Return the newest dead letters and notes the viewer may see; `raw` holds the first 16 KiB of `size` bytes."""
    return newest_page(viewer, want, limit=limit)[0]


def newest_page(
    viewer: Viewer, want: LetterFilter = ALL, *, limit: int = PAGE, after: tuple[datetime, int] | None = None
) -> tuple[Sequence[Row[Any]], tuple[datetime, int] | None]:
    """Return what `newest` does for the page behind `after`, and where the next page begins, None on the last one.

    A position is the time (aware UTC) and ID of the last dead letter of a page.
    """
    found = _visible(viewer, select(*_LISTED)).where(*want.conditions(notes=True))
    if after is not None:
        found = found.where(tuple_(DeadLetter.received_at, DeadLetter.id) < after)
    rows, last = fetch_page(found.order_by(DeadLetter.received_at.desc(), DeadLetter.id.desc()), limit)
    return rows, (last.received_at, last.id) if last else None


def unprocessed(
    viewer: Viewer, want: LetterFilter = ALL, *, limit: int, after: int = 0, through: int | None = None
) -> list[int]:
    """Return the IDs of at most `limit` dead letters the viewer may see, oldest first, between two IDs."""
    found = _visible(viewer, select(DeadLetter.id)).where(*want.conditions(notes=False), DeadLetter.id > after)
    if through is not None:
        found = found.where(DeadLetter.id <= through)
    return list(db.session.scalars(found.order_by(DeadLetter.id).limit(limit)))


def groups(viewer: Viewer) -> Sequence[Any]:
    """Return the number of dead letters the viewer may see by `reason` and `ig_account_id`, largest group first.

    `username` and `connected_at` are the account's; None if it is not connected.
    """
    number = func.count().label("number")
    columns = (DeadLetter.reason, DeadLetter.ig_account_id, Account.username, Account.connected_at)
    found = select(*columns, number, func.max(DeadLetter.received_at, type_=UTCDateTime).label("newest_at"))
    found = found.outerjoin(Account, Account.ig_account_id == DeadLetter.ig_account_id)
    found = _visible(viewer, found).where(DeadLetter.reason != PARTLY_UNDERSTOOD)
    return db.session.execute(found.group_by(*columns).order_by(number.desc())).all()


def last_id(viewer: Viewer) -> int:
    """Return the newest ID among the dead letters the viewer may see; 0 if there are none."""
    return int(db.session.execute(_visible(viewer, select(func.coalesce(func.max(DeadLetter.id), 0)))).scalar_one())


def count(viewer: Viewer, want: LetterFilter = ALL) -> int:
    """Return the number of dead letters the viewer may see; notes count only if their reason is asked for."""
    wanted = want.conditions(notes=False)
    found = _visible(viewer, select(func.count()).select_from(DeadLetter).where(*wanted))
    return int(db.session.execute(found).scalar_one())


def as_dict(letter: Any) -> dict[str, Any]:
    """Return a dead letter, or a row of `newest`, as API and command line show it, without its content."""
    return {
        "id": str(letter.id),
        "receivedAt": clock.rfc3339(letter.received_at),
        "reason": letter.reason,
        "explanation": letter.explanation,
        "accountId": letter.ig_account_id,
        "times": letter.times,
    }


def get(viewer: Viewer, dead_letter_id: int) -> DeadLetter:
    """Return one dead letter; raises NotFound, also if the viewer may not see it."""
    viewer.require(Role.OPS)
    found = db.session.get(DeadLetter, dead_letter_id)
    if found is None or not viewer.sees(found.account_id):
        raise NotFound("dead letter")
    return found


def readable(raw: bytes) -> str:
    """Return a stored body as text, with tokens redacted and invisible characters escaped."""
    return escape_invisible(logs.redact(raw.decode("utf-8", "replace")))


def discard(viewer: Viewer, dead_letter_id: int) -> None:
    """Discard one dead letter and record it in the audit log; raises NotFound."""
    letter = get(viewer, dead_letter_id)
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter).where(DeadLetter.id == letter.id))
        audit.note(tx, viewer, Action.LETTER_DISCARDED, f"letter {letter.id}", account_id=letter.account_id)


def purge(tx: Tx, now: datetime) -> int:
    """Delete dead letters older than 30 days and all but the newest 1,000 notes; return how many expired."""
    notes = select(DeadLetter.id).where(DeadLetter.reason == PARTLY_UNDERSTOOD)
    surplus = tx.execute(notes.order_by(DeadLetter.id.desc()).offset(MOST_NOTES).limit(1)).scalar()
    if surplus is not None:
        tx.execute(delete(DeadLetter).where(DeadLetter.reason == PARTLY_UNDERSTOOD, DeadLetter.id <= surplus))
    return int(tx.execute(delete(DeadLetter).where(DeadLetter.received_at < now - KEPT)).rowcount)


def _visible(viewer: Viewer, found: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    viewer.require(Role.OPS)
    return viewer.visible(found, DeadLetter.account_id)


def _keep(
    tx: Tx,
    raw: bytes,
    *,
    account_id: int | None,
    ig_account_id: str | None,
    mid_digest: bytes | None,
    reason: str,
    explanation: str,
    at: datetime,
) -> bool:
    raw_digest = hashlib.blake2b(raw, digest_size=DIGEST_BYTES).digest()
    if tombstones.holds_deleted_data(tx, account_id, raw, raw_digest):
        logger.warning("event dropped: its contact was deleted", extra={"account": account_id, "reason": reason})
        return False
    counters.DEAD_LETTERS.add(reason)  # also if the transaction is repeated, which is rare
    insert = tx.insert(DeadLetter).values(
        account_id=account_id,
        ig_account_id=ig_account_id,
        mid_digest=mid_digest,
        reason=reason,
        explanation=explanation,
        raw=raw,
        digest=raw_digest,
        received_at=at,
    )
    tx.execute(
        insert.on_conflict_do_update(
            index_elements=["digest"],
            set_={
                "times": DeadLetter.times + 1,
                "account_id": account_id,
                "reason": reason,
                "explanation": explanation,
            },
        )
    )
    return True
