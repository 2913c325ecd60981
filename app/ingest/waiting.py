"""Effects that came before their message: kept until it comes, so that the order of arrival does not matter."""

import json
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, exists, select

from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.instagram import events
from app.instagram.events import Effect, MessageAnnounced, MessageEdited, MessageUnsent
from app.models.inbox import Message, WaitingEffect

READ_BACK_AFTER, READ_BACK_UNTIL = timedelta(seconds=5), timedelta(seconds=65)
KEPT = timedelta(days=30)  # a message that has not come by then will not come
_CLASSES: dict[str, type[Effect]] = {
    kind.__name__: kind
    for kind in (
        events.MessageUnsent,
        events.MessageEdited,
        events.MessageAnnounced,
        events.ReactionChanged,
        events.MessageSeen,
    )
}
_UNSENT, _ANNOUNCED, _EDITED = MessageUnsent.__name__, MessageAnnounced.__name__, MessageEdited.__name__

_OF_MESSAGE = select(WaitingEffect.id, WaitingEffect.kind, WaitingEffect.effect).where(
    WaitingEffect.account_id == bindparam("account_id"), WaitingEffect.mid_digest == bindparam("mid_digest")
)

_OF_ACCOUNT = select(WaitingEffect.id, WaitingEffect.kind, WaitingEffect.mid_digest, WaitingEffect.effect).where(
    WaitingEffect.account_id == bindparam("account_id")
)


def park(tx: Tx, account_id: int, effect: Effect, *, at: datetime) -> None:
    """Keep an effect until its message comes; of a message that was taken back, nothing but that is kept."""
    mid_digest = digest(effect.mid)
    of_message = (WaitingEffect.account_id == account_id, WaitingEffect.mid_digest == mid_digest)
    if isinstance(effect, MessageUnsent):
        tx.execute(delete(WaitingEffect).where(*of_message, WaitingEffect.kind != _UNSENT))
    elif tx.execute(select(WaitingEffect.id).where(*of_message, WaitingEffect.kind == _UNSENT)).first():
        return
    kept = _packed(effect)
    told = json.dumps([account_id, type(effect).__name__, kept], sort_keys=True)
    insert = tx.insert(WaitingEffect).values(
        account_id=account_id,
        mid_digest=mid_digest,
        kind=type(effect).__name__,
        effect=kept,
        digest=digest(told),
        received_at=at,
    )
    tx.execute(insert.on_conflict_do_nothing(index_elements=["digest"]))


def announcement(edit: MessageEdited) -> MessageAnnounced:
    """Return an edit without its wording: that there is such a message."""
    return MessageAnnounced(edit.ig_account_id, edit.sent_at, edit.mid)


def forget(tx: Tx, account_id: int, ig_participant_id: str, own_ids: Collection[str], *, at: datetime) -> set[bytes]:
    """Delete what waits of a contact who is being deleted; returns the mid digests of the messages it waited for.

    An edit that names no sender, or the account, may be about this contact: it stays as an announcement alone.
    """
    rows = tx.execute(_OF_ACCOUNT, {"account_id": account_id}).all()
    theirs = [row for row in rows if row.effect.get("ig_sender_id") == ig_participant_id]
    edits = [row for row in rows if row.kind == _EDITED and row.effect.get("ig_sender_id") in (None, *own_ids)]
    tx.execute(delete(WaitingEffect).where(WaitingEffect.id.in_([row.id for row in (*theirs, *edits)])))
    for edit in (_unpacked(row.kind, row.effect) for row in edits):
        if isinstance(edit, MessageEdited):
            park(tx, account_id, announcement(edit), at=at)
    return {row.mid_digest for row in theirs}


def take(tx: Tx, account_id: int, mid_digest: bytes) -> list[Effect]:
    """Return the effects that waited for this message, oldest first; they wait no longer."""
    rows = tx.execute(_OF_MESSAGE, {"account_id": account_id, "mid_digest": mid_digest}).all()
    if rows:
        tx.execute(delete(WaitingEffect).where(WaitingEffect.id.in_([row.id for row in rows])))
    return sorted((_unpacked(row.kind, row.effect) for row in rows), key=lambda effect: effect.sent_at)


def met() -> list[tuple[int, bytes]]:
    """Return account and mid digest of effects whose message is there: the two came at once, in two transactions."""
    arrived = exists().where(
        Message.account_id == WaitingEffect.account_id, Message.mid_digest == WaitingEffect.mid_digest
    )
    found = select(WaitingEffect.account_id, WaitingEffect.mid_digest).where(arrived).distinct()
    return [(row.account_id, row.mid_digest) for row in db.session.execute(found)]


def announced(now: datetime) -> list[int]:
    """Return the accounts of which a message was announced that has not come within seconds: it is to be read back."""
    recent = WaitingEffect.received_at.between(now - READ_BACK_UNTIL, now - READ_BACK_AFTER)
    found = select(WaitingEffect.account_id).where(WaitingEffect.kind == _ANNOUNCED, recent).distinct()
    return list(db.session.scalars(found))


def purge(tx: Tx, now: datetime) -> int:
    """Forget effects that have waited for 30 days; returns how many."""
    return int(tx.execute(delete(WaitingEffect).where(WaitingEffect.received_at < now - KEPT)).rowcount)


def _packed(effect: Effect) -> dict[str, Any]:
    values = {each.name: getattr(effect, each.name) for each in fields(effect)}
    return values | {"sent_at": effect.sent_at.isoformat()}


def _unpacked(kind: str, kept: dict[str, Any]) -> Effect:
    return _CLASSES[kind](**kept | {"sent_at": datetime.fromisoformat(kept["sent_at"])})
