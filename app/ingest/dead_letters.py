"""What could not be placed: kept whole, once, with the reason, so that it can be read and replayed."""

import hashlib
import json
import logging
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from app import audit, logs
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import DIGEST_BYTES, digest
from app.errors import NotFound
from app.identities import forgotten
from app.instagram.webhook import Item
from app.models.inbox import DeadLetter
from app.models.user import Action
from app.viewer import Role, Viewer

logger = logging.getLogger(__name__)

KEPT = timedelta(days=30)
BODY_BYTES = 65_536  # of a body that cannot be read at all, enough to see what it was


def keep(tx: Tx, item: Item, *, account_id: int | None, reason: str, explanation: str, at: datetime) -> bool:
    """Keep one item of a delivery; the same item again only counts up.

    Returns False, and keeps nothing, for what was deleted with a contact. `at` is aware UTC.
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


def keep_body(tx: Tx, body: bytes, *, explanation: str, at: datetime) -> bool:
    """Keep the beginning of a signed body that is no JSON object; returns as `keep`. `at` is aware UTC."""
    return _keep(
        tx,
        body[:BODY_BYTES],
        account_id=None,
        ig_account_id=None,
        mid_digest=None,
        reason="unreadable",
        explanation=explanation,
        at=at,
    )


def newest(viewer: Viewer, *, limit: int = 50) -> list[DeadLetter]:
    """Return the newest dead letters the viewer may see."""
    viewer.require(Role.OPS)
    found = select(DeadLetter).order_by(DeadLetter.received_at.desc(), DeadLetter.id.desc()).limit(limit)
    if viewer.account_ids is not None:
        found = found.where(DeadLetter.account_id.in_(viewer.account_ids))
    return list(db.session.scalars(found))


def count(viewer: Viewer) -> int:
    """Return how many dead letters the viewer may see."""
    viewer.require(Role.OPS)
    found = select(func.count()).select_from(DeadLetter)
    if viewer.account_ids is not None:
        found = found.where(DeadLetter.account_id.in_(viewer.account_ids))
    return db.session.execute(found).scalar_one()


def one(viewer: Viewer, dead_letter_id: int) -> DeadLetter:
    """Return one dead letter; raises NotFound, also for what the viewer may not see."""
    viewer.require(Role.OPS)
    found = db.session.get(DeadLetter, dead_letter_id)
    if found is None or (viewer.account_ids is not None and found.account_id not in viewer.account_ids):
        raise NotFound("dead letter")
    return found


def readable(letter: DeadLetter) -> str:
    """Return what Meta sent, as text; whatever looks like a token is cut."""
    return logs.redact(letter.raw.decode("utf-8", "replace"))


def discard(viewer: Viewer, dead_letter_id: int) -> None:
    """Throw one dead letter away; raises NotFound."""
    letter = one(viewer, dead_letter_id)
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter).where(DeadLetter.id == letter.id))
        audit.note(tx, viewer, Action.LETTER_DISCARDED, f"letter {letter.id}", account_id=letter.account_id)


def purge(tx: Tx, now: datetime) -> int:
    """Forget dead letters older than 30 days; returns how many."""
    return int(tx.execute(delete(DeadLetter).where(DeadLetter.received_at < now - KEPT)).rowcount)


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
    if forgotten.holds(tx, account_id, raw, raw_digest):
        logger.warning("an event of a deleted contact was dropped", extra={"account": account_id, "reason": reason})
        return False
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
            set_={"times": DeadLetter.times + 1, "reason": reason, "explanation": explanation},
        )
    )
    return True
