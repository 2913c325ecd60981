"""Conversations that need a reply: count them, and decide that one needs none until its contact writes again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, update

from app import clock, reply_state
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.inbox import parties
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from app.viewer import Viewer

NAME_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class NeededReplies:
    """How many conversations of an account need a reply, by window state; the oldest one since then (aware UTC)."""

    ig_account_id: str
    account: str
    open: int
    closing: int
    closed: int
    expired: int
    oldest_since: datetime


def count_needed(viewer: Viewer) -> list[NeededReplies]:
    """Return the counts of each account with a conversation that needs a reply."""
    states = reply_state.in_window_state(Conversation.last_incoming_at, clock.now()).values()
    counts = (func.sum(case((state, 1), else_=0)) for state in states)
    name = func.coalesce(Account.username, Account.ig_account_id)
    found = (
        select(Account.ig_account_id, name, *counts, func.min(Conversation.needs_reply_since))
        .join(Account, Account.id == Conversation.account_id)
        .where(reply_state.NEEDS_REPLY, Account.state != AccountState.DELETING)
        .group_by(Account.id, Account.ig_account_id, Account.username)
        .order_by(Account.id)
    )
    found = viewer.visible(found, Conversation.account_id)
    return [NeededReplies(*row) for row in db.session.execute(found)]


def mark_no_reply_needed(viewer: Viewer, conversation_id: int, *, through: datetime | None = None) -> None:
    """Record that the contact's messages sent until `through` need no reply, by default all of them.

    The contact's next message needs one again. Raises NotFound.
    """
    _decide(viewer, conversation_id, needed=False, through=through)


def mark_needs_reply(viewer: Viewer, conversation_id: int) -> None:
    """Withdraw the decision that a conversation needs no reply; raises NotFound."""
    _decide(viewer, conversation_id, needed=True)


def _decide(viewer: Viewer, conversation_id: int, *, needed: bool, through: datetime | None = None) -> None:
    account_id, contact = parties.get_parties(viewer, conversation_id)
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
