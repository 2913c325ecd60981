"""Apply updates to stored messages: unsent, edited, reaction, seen. Order and repetition do not matter.

An update that arrives before its message is kept by `pending_updates`. Nothing changes a message after its unsend.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from app import clock, read_state, reply_state, tombstones
from app.db import transaction
from app.db.transaction import Tx
from app.db.types import digest
from app.ingest import dead_letters, indexing, pending_updates
from app.instagram.events import (
    EventKind,
    MessageAnnounced,
    MessageEdited,
    MessageSeen,
    MessageUnsent,
    MessageUpdate,
    ReactionChanged,
)
from app.models.conversation import Conversation, Message
from app.models.ingest import DeadLetter
from app.text import shorten

PREVIEW_CHARACTERS = 160

_COLUMNS = (
    *(Message.id, Message.conversation_id, Message.mid, Message.kind, Message.outgoing, Message.arrival),
    *(Message.sent_at, Message.text, Message.edit_number, Message.edited_at, Message.reactions),
    *(Message.attachments, Message.context),
    select(Conversation.ig_participant_id)
    .where(Conversation.id == Message.conversation_id)
    .scalar_subquery()
    .label("contact"),
)


def handle(tx: Tx, account_id: int, effect: MessageUpdate, *, at: datetime) -> None:
    """Apply an update to its message, or keep it until the message arrives; `at` is now, aware UTC."""
    mid_digest = digest(effect.mid)
    found = select(*_COLUMNS).where(Message.account_id == account_id, Message.mid_digest == mid_digest)
    message = tx.execute(found.with_for_update()).first()
    if isinstance(effect, MessageUnsent):
        tx.execute(delete(DeadLetter).where(DeadLetter.mid_digest == mid_digest))  # a dead letter holds the text
    if message is not None:
        _apply(tx, account_id, message, effect)
    elif not _was_deleted(tx, account_id, effect, mid_digest):
        pending_updates.keep(tx, account_id, _without_unordered_text(tx, account_id, effect), at=at)


def _was_deleted(tx: Tx, account_id: int, effect: MessageUpdate, mid_digest: bytes) -> bool:
    sender = getattr(effect, "ig_sender_id", None)
    covered = tombstones.covers(tx, account_id, sender, effect.sent_at)
    return covered or tombstones.any_deleted(tx, account_id, [mid_digest])


def _without_unordered_text(tx: Tx, account_id: int, effect: MessageUpdate) -> MessageUpdate:
    # An edit without a sender from before a deletion may belong to the deleted contact. As an announcement, the
    # message is fetched with its newest text if it still exists.
    if not isinstance(effect, MessageEdited | MessageAnnounced):
        return effect
    if tombstones.is_covered(tombstones.newest_covered_until(tx, account_id), effect.sent_at):
        return pending_updates.announcement(effect)
    return effect


def apply_pending(tx: Tx, account_id: int, mid_digest: bytes, *, at: datetime) -> None:
    """Apply the pending updates of a message that is now stored."""
    for effect in pending_updates.take(tx, account_id, mid_digest):
        if isinstance(effect, MessageAnnounced):
            listed = (DeadLetter.mid_digest == mid_digest, DeadLetter.reason == dead_letters.UNRESOLVED)
            tx.execute(delete(DeadLetter).where(DeadLetter.account_id == account_id, *listed))
        handle(tx, account_id, effect, at=at)


def apply_arrived() -> None:
    """Apply pending updates whose message was stored by a concurrent transaction."""
    for account_id, mid_digest in pending_updates.arrived():
        with transaction.write() as tx:
            apply_pending(tx, account_id, mid_digest, at=clock.now())


def _apply(tx: Tx, account_id: int, message: Any, effect: MessageUpdate) -> None:
    if isinstance(effect, MessageSeen):
        _mark_seen(tx, message, effect)
    elif message.kind == EventKind.UNSENT:
        return
    elif isinstance(effect, MessageUnsent):
        _unsend(tx, message)
    elif isinstance(effect, MessageEdited):
        _edit(tx, message, effect)
    elif isinstance(effect, MessageAnnounced) and effect.text not in (None, message.text):
        _edit(tx, message, MessageEdited(effect.ig_account_id, effect.sent_at, effect.mid, effect.text or "", number=0))
    elif isinstance(effect, ReactionChanged):
        _set_reaction(tx, message, effect)
    tx.mark_changed(account_id, message.contact)


def _unsend(tx: Tx, message: Any) -> None:
    nothing = dict.fromkeys(("text", "attachments", "context", "reactions", "edit_number", "edited_at"))
    terms = indexing.terms(EventKind.UNSENT, text=None, attachments=None, context=None)
    unsent = update(Message).where(Message.id == message.id)
    tx.execute(unsent.values(kind=EventKind.UNSENT, terms=terms, **nothing))
    conversation = update(Conversation).where(Conversation.id == message.conversation_id)
    newest = conversation.where(Conversation.last_message_mid == message.mid)
    tx.execute(newest.values(last_message_kind=EventKind.UNSENT, last_message_preview=None))
    if message.outgoing:
        tx.execute(conversation.where(Conversation.last_reaction.is_not(None)).values(last_reaction=None))
    elif message.arrival is not None:
        read_state.unsend(tx, message.conversation_id, message.arrival)
    reply_state.recount(tx, message.conversation_id)


def _edit(tx: Tx, message: Any, edit: MessageEdited) -> None:
    newer = (edit.number, edit.sent_at, edit.text)
    if message.edit_number is not None and newer <= (message.edit_number, message.edited_at, message.text or ""):
        return
    wording = {"text": edit.text, "edit_number": edit.number, "edited_at": edit.sent_at}
    wording["terms"] = indexing.terms(
        message.kind, text=edit.text, attachments=message.attachments, context=message.context
    )
    tx.execute(update(Message).where(Message.id == message.id).values(**wording))
    newest = and_(Conversation.id == message.conversation_id, Conversation.last_message_mid == message.mid)
    preview = shorten(edit.text, PREVIEW_CHARACTERS) or None
    tx.execute(update(Conversation).where(newest).values(last_message_preview=preview))


def _set_reaction(tx: Tx, message: Any, reaction: ReactionChanged) -> None:
    present: dict[str, Any] = dict(message.reactions or {})
    before = present.get(reaction.ig_sender_id, {"at": "", "emoji": None})
    after = {"at": reaction.sent_at.isoformat(), "emoji": reaction.emoji}
    if (after["at"], after["emoji"] or "") <= (before["at"], before["emoji"] or ""):
        return
    present[reaction.ig_sender_id] = after
    tx.execute(update(Message).where(Message.id == message.id).values(reactions=present))
    if message.outgoing:
        _show_reaction(tx, message, reaction)


def _show_reaction(tx: Tx, message: Any, reaction: ReactionChanged) -> None:
    at = Conversation.last_reaction_at
    theirs = and_(Conversation.id == message.conversation_id, Conversation.ig_participant_id == reaction.ig_sender_id)
    newest = update(Conversation).where(theirs, or_(at.is_(None), at < reaction.sent_at))
    tx.execute(newest.values(last_reaction=reaction.emoji, last_reaction_at=reaction.sent_at))


def _mark_seen(tx: Tx, message: Any, seen: MessageSeen) -> None:
    until, at = Conversation.seen_until, Conversation.seen_at
    further = or_(until.is_(None), until < message.sent_at, and_(until == message.sent_at, at > seen.sent_at))
    conversation = update(Conversation).where(Conversation.id == message.conversation_id, further)
    tx.execute(conversation.values(seen_until=message.sent_at, seen_at=seen.sent_at))
