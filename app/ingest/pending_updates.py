"""Effects that came before their message: kept until it comes, so that the order of arrival does not matter."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, select, update

from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.instagram import events
from app.instagram.events import MessageAnnounced, MessageEdited, MessageUnsent, MessageUpdate
from app.models.inbox import Message, PendingMessageUpdate

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600))  # before each try, from the last
CLAIMED = timedelta(minutes=10)  # longer than a try takes; a worker that dies leaves the message to the next one
KEPT = timedelta(days=30)  # a message that has not come by then will not come
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
    PendingMessageUpdate.effect,
    PendingMessageUpdate.tries,
    PendingMessageUpdate.received_at,
)
_OF_MESSAGE = select(PendingMessageUpdate.id, PendingMessageUpdate.kind, PendingMessageUpdate.effect).where(
    PendingMessageUpdate.account_id == bindparam("account_id"),
    PendingMessageUpdate.mid_digest == bindparam("mid_digest"),
)

_OF_ACCOUNT = select(
    PendingMessageUpdate.id, PendingMessageUpdate.kind, PendingMessageUpdate.mid_digest, PendingMessageUpdate.effect
).where(PendingMessageUpdate.account_id == bindparam("account_id"))


def keep(tx: Tx, account_id: int, effect: MessageUpdate, *, at: datetime) -> None:
    """Keep an effect until its message comes; of an unsent message only that, and one announcement of a message.

    A later announcement adds its text to one that came without.
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
    told = json.dumps([account_id, type(effect).__name__, kept], sort_keys=True)
    insert = tx.insert(PendingMessageUpdate).values(
        account_id=account_id,
        mid_digest=mid_digest,
        kind=type(effect).__name__,
        effect=kept,
        digest=digest(told),
        received_at=at,
        next_try_at=at + PAUSES[0] if isinstance(effect, MessageAnnounced) else None,
    )
    tx.execute(insert.on_conflict_do_nothing(index_elements=["digest"]))


def _add_text(tx: Tx, account_id: int, effect: MessageAnnounced) -> None:
    if effect.text is None:
        return
    announced = _OF_MESSAGE.where(PendingMessageUpdate.kind == _ANNOUNCED)
    for row in tx.execute(announced, {"account_id": account_id, "mid_digest": digest(effect.mid)}).all():
        if row.effect.get("text") is None:
            richer = row.effect | {"text": effect.text}
            tx.execute(update(PendingMessageUpdate).where(PendingMessageUpdate.id == row.id).values(effect=richer))


def announcement(effect: MessageEdited | MessageAnnounced) -> MessageAnnounced:
    """Return an edit or announcement without its text: that there is such a message."""
    return MessageAnnounced(effect.ig_account_id, effect.sent_at, effect.mid)


def delete_of_contact(
    tx: Tx, account_id: int, ig_participant_id: str, own_ids: Collection[str], *, at: datetime
) -> set[bytes]:
    """Delete what waits of a contact who is being deleted; returns the mid digests of the messages it waited for.

    An edit that names no sender, or the account, may be about this contact: it stays as an announcement alone.
    """
    rows = tx.execute(_OF_ACCOUNT, {"account_id": account_id}).all()
    theirs = [row for row in rows if row.effect.get("ig_sender_id") == ig_participant_id]
    worded = [row for row in rows if row.kind in (_EDITED, _ANNOUNCED) and row.effect.get("text") is not None]
    doubtful = [row for row in worded if row.effect.get("ig_sender_id") in (None, *own_ids)]
    tx.execute(
        delete(PendingMessageUpdate).where(PendingMessageUpdate.id.in_([row.id for row in (*theirs, *doubtful)]))
    )
    for effect in (_from_json(row.kind, row.effect) for row in doubtful):
        if isinstance(effect, MessageEdited | MessageAnnounced):
            keep(tx, account_id, announcement(effect), at=at)
    return {row.mid_digest for row in theirs}


def take(tx: Tx, account_id: int, mid_digest: bytes) -> list[MessageUpdate]:
    """Return the effects that waited for this message, oldest first; they wait no longer.

    Effects that only a newer release knows go on waiting for it.
    """
    found = tx.execute(_OF_MESSAGE, {"account_id": account_id, "mid_digest": mid_digest})
    rows = [row for row in found if row.kind in _CLASSES]
    if rows:
        tx.execute(delete(PendingMessageUpdate).where(PendingMessageUpdate.id.in_([row.id for row in rows])))
    return sorted((_from_json(row.kind, row.effect) for row in rows), key=lambda effect: effect.sent_at)


def arrived() -> list[tuple[int, bytes]]:
    """Return account and mid digest of effects whose message is there: the two came at once, in two transactions."""
    arrived = exists().where(
        Message.account_id == PendingMessageUpdate.account_id, Message.mid_digest == PendingMessageUpdate.mid_digest
    )
    known = PendingMessageUpdate.kind.in_(_CLASSES)
    found = select(PendingMessageUpdate.account_id, PendingMessageUpdate.mid_digest).where(known, arrived).distinct()
    return [(row.account_id, row.mid_digest) for row in db.session.execute(found)]


def due(now: datetime) -> list[int]:
    """Return the accounts with announced messages that have not come and are to be looked for now."""
    found = select(PendingMessageUpdate.account_id).where(PendingMessageUpdate.next_try_at <= now).distinct()
    return list(db.session.scalars(found))


def claim(tx: Tx, account_id: int, *, at: datetime) -> list[int]:
    """Return the IDs of an account's announced messages that are due; for ten minutes nothing else looks for them."""
    of_account = (PendingMessageUpdate.account_id == account_id, PendingMessageUpdate.next_try_at <= at)
    claimed = (
        update(PendingMessageUpdate)
        .where(*of_account)
        .values(next_try_at=at + CLAIMED)
        .returning(PendingMessageUpdate.id)
    )
    return list(tx.execute(claimed).scalars())


def still_pending(tx: Tx, claimed: list[int]) -> Sequence[Row[Any]]:
    """Return those of the claimed messages that still have not come: id, effect, tries, received_at."""
    return tx.execute(select(*_DUE).where(PendingMessageUpdate.id.in_(claimed))).all()


def try_at(tx: Tx, waiting_id: int, at: datetime | None, *, tries: int) -> None:
    """Set when an announced message is looked for next (aware UTC); None gives it up."""
    tx.execute(
        update(PendingMessageUpdate).where(PendingMessageUpdate.id == waiting_id).values(next_try_at=at, tries=tries)
    )


def start_over(tx: Tx, account_id: int, mid_digest: bytes, *, at: datetime) -> None:
    """Look for an announced message that was given up as often as for a new one."""
    of_message = (PendingMessageUpdate.account_id == account_id, PendingMessageUpdate.mid_digest == mid_digest)
    again = update(PendingMessageUpdate).where(*of_message, PendingMessageUpdate.kind == _ANNOUNCED)
    tx.execute(again.values(next_try_at=at, tries=0))


def purge(tx: Tx, now: datetime) -> int:
    """Forget effects that have waited for 30 days; returns how many."""
    return int(tx.execute(delete(PendingMessageUpdate).where(PendingMessageUpdate.received_at < now - KEPT)).rowcount)


def _as_json(effect: MessageUpdate) -> dict[str, Any]:
    values = {each.name: getattr(effect, each.name) for each in fields(effect)}
    return values | {"sent_at": effect.sent_at.isoformat()}


def _from_json(kind: str, kept: dict[str, Any]) -> MessageUpdate:
    # An older release may have stored fewer fields, a newer one more.
    known = {each.name: kept[each.name] for each in fields(_CLASSES[kind]) if each.name in kept}
    return _CLASSES[kind](**known | {"sent_at": datetime.fromisoformat(kept["sent_at"])})
