"""Decide that a conversation needs no reply, until its contact writes again."""

from datetime import datetime

from sqlalchemy import select, update

from app import reply_state
from app.db import transaction
from app.errors import NotFound
from app.inbox import thread
from app.models.conversation import Conversation
from app.viewer import Viewer

NAME_CHARACTERS = 120


def mark_no_reply_needed(viewer: Viewer, conversation_id: int, *, through: datetime | None = None) -> None:
    """Record that the contact's messages sent until `through` need no reply, by default all of them.

    The contact's next message needs one again. Raises NotFound.
    """
    _decide(viewer, conversation_id, needed=False, through=through)


def mark_needs_reply(viewer: Viewer, conversation_id: int) -> None:
    """Withdraw the decision that a conversation needs no reply; raises NotFound."""
    _decide(viewer, conversation_id, needed=True)


def _decide(viewer: Viewer, conversation_id: int, *, needed: bool, through: datetime | None = None) -> None:
    account_id, contact = thread.parties_of(viewer, conversation_id)
    of_conversation = Conversation.id == conversation_id
    with transaction.write() as tx:
        found = select(Conversation.last_incoming_at).where(of_conversation).with_for_update()
        known = tx.execute(found).first()
        if known is None:
            raise NotFound("conversation")
        newest = known.last_incoming_at
        decided = None if needed or newest is None else min(through or newest, newest)
        values = {"no_reply_needed_through": decided, "no_reply_needed_by": decided and viewer.name[:NAME_CHARACTERS]}
        tx.execute(update(Conversation).where(of_conversation).values(**values))
        reply_state.recount(tx, conversation_id)
        tx.mark_changed(account_id, contact)
