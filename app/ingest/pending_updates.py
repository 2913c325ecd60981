"""Message updates that arrived before their message: kept until it arrives, so that order does not matter."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, func, select, update

from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.instagram import events
from app.instagram.events import MessageAnnounced, MessageEdited, MessageUnsent, MessageUpdate
from app.models.conversation import Message
from app.models.ingest import PendingMessageUpdate

PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600)
)  # before each attempt, after the one before
CLAIMED = timedelta(minutes=10)  # longer than an attempt; then another worker may claim the message
KEPT = timedelta(days=30)  # a later arrival is not expected
_CLASSES: dict[str, type[MessageUpdate]] = {
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

_DUE = (
    PendingMessageUpdate.id,
    PendingMessageUpdate.payload,
    PendingMessageUpdate.tries,
    PendingMessageUpdate.received_at,
)
_OF_MESSAGE = select(PendingMessageUpdate.id, PendingMessageUpdate.kind, PendingMessageUpdate.payload).where(
    PendingMessageUpdate.account_id == bindparam("account_id"),
    PendingMessageUpdate.mid_digest == bindparam("mid_digest"),
)

_OF_ACCOUNT = select(
    PendingMessageUpdate.id, PendingMessageUpdate.kind, PendingMessageUpdate.mid_digest, PendingMessageUpdate.payload
).where(PendingMessageUpdate.account_id == bindparam("account_id"))


def keep(tx: Tx, account_id: int, effect: MessageUpdate, *, at: datetime) -> None:
    """Keep an update until its message arrives.

    An unsend replaces all other updates of the message. A message has one announcement: a later one only adds its text.
    """
    mid_digest = digest(effect.mid)
    of_message = (PendingMessageUpdate.account_id == account_id, PendingMessageUpdate.mid_digest == mid_digest)
    if isinstance(effect, MessageUnsent):
        tx.execute(delete(PendingMessageUpdate).where(*of_message, PendingMessageUpdate.kind != _UNSENT))
    else:
        kept_kinds = set(tx.execute(select(PendingMessageUpdate.kind).where(*of_message)).scalars())
        if _UNSENT in kept_kinds:
            return
        if isinstance(effect, MessageAnnounced) and _ANNOUNCED in kept_kinds:
            _add_text(tx, account_id, effect)
            return
    kept = _as_json(effect)
    identity = json.dumps([account_id, type(effect).__name__, kept], sort_keys=True)
    insert = tx.insert(PendingMessageUpdate).values(
        account_id=account_id,
        mid_digest=mid_digest,
        kind=type(effect).__name__,
        payload=kept,
        digest=digest(identity),
        received_at=at,
        next_try_at=at + PAUSES[0] if isinstance(effect, MessageAnnounced) else None,
    )
    tx.execute(insert.on_conflict_do_nothing(index_elements=["digest"]))


def _add_text(tx: Tx, account_id: int, effect: MessageAnnounced) -> None:
    if effect.text is None:
        return
    announced = _OF_MESSAGE.where(PendingMessageUpdate.kind == _ANNOUNCED)
    for row in tx.execute(announced, {"account_id": account_id, "mid_digest": digest(effect.mid)}).all():
        if row.payload.get("text") is None:
            richer = row.payload | {"text": effect.text}
            tx.execute(update(PendingMessageUpdate).where(PendingMessageUpdate.id == row.id).values(payload=richer))


def announcement(effect: MessageEdited | MessageAnnounced) -> MessageAnnounced:
    """Return an edit or announcement as an announcement without text."""
    return MessageAnnounced(effect.ig_account_id, effect.sent_at, effect.mid)


def count_unsent(tx: Tx, account_id: int, *, since: datetime) -> int:
    """Return how many messages were unsent since then (aware UTC) and have never arrived."""
    unsent = (PendingMessageUpdate.kind == _UNSENT, PendingMessageUpdate.received_at > since)
    counted = select(func.count()).where(PendingMessageUpdate.account_id == account_id, *unsent)
    return int(tx.execute(counted).scalar_one())


def ids_of_contact(execute: Callable[..., Any], account_id: int, ig_participant_id: str) -> list[int]:
    """Return the IDs of the pending updates that a contact sent. `execute` is that of a session or transaction."""
    rows = execute(_OF_ACCOUNT, {"account_id": account_id}).all()
    return [row.id for row in rows if row.payload.get("ig_sender_id") == ig_participant_id]


def delete_of_contact(
    tx: Tx, account_id: int, ig_participant_id: str, own_ids: Collection[str], *, at: datetime
) -> set[bytes]:
    """Delete the pending updates of a contact whose data is being deleted; return the mid digests of their messages.

    An edit without a sender, or from the account, may concern this contact: it stays as an announcement without text.
    """
    rows = tx.execute(_OF_ACCOUNT, {"account_id": account_id}).all()
    theirs = [row for row in rows if row.payload.get("ig_sender_id") == ig_participant_id]
    with_text = [row for row in rows if row.kind in (_EDITED, _ANNOUNCED) and row.payload.get("text") is not None]
    doubtful = [row for row in with_text if row.payload.get("ig_sender_id") in (None, *own_ids)]
    tx.execute(
        delete(PendingMessageUpdate).where(PendingMessageUpdate.id.in_([row.id for row in (*theirs, *doubtful)]))
    )
    for effect in (_from_json(row.kind, row.payload) for row in doubtful):
        if isinstance(effect, MessageEdited | MessageAnnounced):
            keep(tx, account_id, announcement(effect), at=at)
    return {row.mid_digest for row in theirs}


def take(tx: Tx, account_id: int, mid_digest: bytes) -> list[MessageUpdate]:
    """Remove and return the pending updates of this message, oldest first.

    Kinds that only a newer release knows stay pending.
    """
    found = tx.execute(_OF_MESSAGE, {"account_id": account_id, "mid_digest": mid_digest})
    rows = [row for row in found if row.kind in _CLASSES]
    if rows:
        tx.execute(delete(PendingMessageUpdate).where(PendingMessageUpdate.id.in_([row.id for row in rows])))
    return sorted((_from_json(row.kind, row.payload) for row in rows), key=lambda effect: effect.sent_at)


def arrived() -> list[tuple[int, bytes]]:
    """Return (account ID, mid digest) of pending updates whose message was stored by a concurrent transaction."""
    arrived = exists().where(
        Message.account_id == PendingMessageUpdate.account_id, Message.mid_digest == PendingMessageUpdate.mid_digest
    )
    known = PendingMessageUpdate.kind.in_(_CLASSES)
    found = select(PendingMessageUpdate.account_id, PendingMessageUpdate.mid_digest).where(known, arrived).distinct()
    return [(row.account_id, row.mid_digest) for row in db.session.execute(found)]


def due(now: datetime) -> list[int]:
    """Return the IDs of accounts with announced messages that are due to be fetched."""
    found = select(PendingMessageUpdate.account_id).where(PendingMessageUpdate.next_try_at <= now).distinct()
    return list(db.session.scalars(found))


def claim(tx: Tx, account_id: int, *, at: datetime) -> list[int]:
    """Claim an account's announced messages that are due for ten minutes; return their IDs."""
    of_account = (PendingMessageUpdate.account_id == account_id, PendingMessageUpdate.next_try_at <= at)
    claimed = (
        update(PendingMessageUpdate)
        .where(*of_account)
        .values(next_try_at=at + CLAIMED)
        .returning(PendingMessageUpdate.id)
    )
    return list(tx.execute(claimed).scalars())


def still_pending(tx: Tx, claimed: list[int]) -> Sequence[Row[Any]]:
    """Return the claimed messages that have not arrived: id, payload, tries, received_at."""
    return tx.execute(select(*_DUE).where(PendingMessageUpdate.id.in_(claimed))).all()


def set_next_try(tx: Tx, pending_id: int, at: datetime | None, *, tries: int) -> None:
    """Set when an announced message is fetched next (aware UTC); None gives it up."""
    tx.execute(
        update(PendingMessageUpdate).where(PendingMessageUpdate.id == pending_id).values(next_try_at=at, tries=tries)
    )


def start_over(tx: Tx, account_id: int, mid_digest: bytes, *, at: datetime) -> None:
    """Schedule an announced message that was given up as if it were new."""
    of_message = (PendingMessageUpdate.account_id == account_id, PendingMessageUpdate.mid_digest == mid_digest)
    again = update(PendingMessageUpdate).where(*of_message, PendingMessageUpdate.kind == _ANNOUNCED)
    tx.execute(again.values(next_try_at=at, tries=0))


def purge(tx: Tx, now: datetime) -> int:
    """Delete updates that have been pending for 30 days; return how many."""
    return int(tx.execute(delete(PendingMessageUpdate).where(PendingMessageUpdate.received_at < now - KEPT)).rowcount)


def _as_json(effect: MessageUpdate) -> dict[str, Any]:
    values = {each.name: getattr(effect, each.name) for each in fields(effect)}
    return values | {"sent_at": effect.sent_at.isoformat()}


def _from_json(kind: str, kept: dict[str, Any]) -> MessageUpdate:
    # An older release may have stored fewer fields, a newer one more.
    known = {each.name: kept[each.name] for each in fields(_CLASSES[kind]) if each.name in kept}
    return _CLASSES[kind](**known | {"sent_at": datetime.fromisoformat(kept["sent_at"])})
