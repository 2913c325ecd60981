"""Whether a conversation needs a reply, and how long Meta lets the account write: one rule for every order of events.

A conversation needs a reply since the contact's first message after the account's newest one. Reactions, seen events,
opt-ins, referrals and handovers are no messages in this sense; what another app answers (standby) and imported history
need no reply. The account may write for 24 hours after the contact's newest message, a user in Instagram for 7 days.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, update

from app import clock, settings
from app.db.transaction import Tx
from app.instagram.events import META_INBOX_APPS, NOT_WRITTEN, EventKind
from app.models.conversation import Conversation, Message

WINDOW = timedelta(hours=24)
HUMAN_WINDOW = timedelta(days=7)
CLOSING = timedelta(hours=6)
URGENT = timedelta(hours=1)

NEEDS_REPLY: ColumnElement[bool] = Conversation.needs_reply_since.is_not(None)
_WRITTEN = Message.kind.not_in([*NOT_WRITTEN, EventKind.UNSENT])


class WindowState(StrEnum):
    """State of the 24-hour window. After `CLOSED`, which is 7 days after the contact's message, it is `EXPIRED`."""

    NONE = "none"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    EXPIRED = "expired"


def window_ends_at(last_incoming_at: datetime | None) -> datetime | None:
    """Return when the 24-hour window ends or ended, None if it never opened.

    It is never more than 24 hours from now, although Meta's clock may be ahead. Times are aware UTC.
    """
    return None if last_incoming_at is None else min(last_incoming_at, clock.now()) + WINDOW


def window_state(last_incoming_at: datetime | None) -> WindowState:
    """Return the state of the 24-hour window now."""
    ends_at = window_ends_at(last_incoming_at)
    if ends_at is None:
        return WindowState.NONE
    left = ends_at - clock.now()
    if left <= timedelta(0):
        return WindowState.CLOSED if left > WINDOW - HUMAN_WINDOW else WindowState.EXPIRED
    return WindowState.CLOSING if left <= CLOSING else WindowState.OPEN


def in_window_state(last_incoming_at: Any, now: datetime) -> dict[WindowState, ColumnElement[bool]]:
    """Return the conditions of the states for a column, as `window_state` decides them; without `NONE`."""
    closing, closed, expired = now - WINDOW + CLOSING, now - WINDOW, now - HUMAN_WINDOW
    return {
        WindowState.OPEN: last_incoming_at > closing,
        WindowState.CLOSING: and_(last_incoming_at <= closing, last_incoming_at > closed),
        WindowState.CLOSED: and_(last_incoming_at <= closed, last_incoming_at > expired),
        WindowState.EXPIRED: last_incoming_at <= expired,
    }


def needs_reply(conversation: Any) -> bool | None:
    """Return whether a conversation needs a reply: False by a user's decision, None after an answer.

    `conversation` is a row with the reply columns.
    """
    if conversation.needs_reply_since is not None:
        return True
    decided, answered = conversation.no_reply_needed_through, conversation.last_outgoing_at
    return False if decided is not None and (answered is None or decided > answered) else None


def recount(tx: Tx, conversation_id: int) -> None:
    """Compute the reply columns of a conversation from its messages, after one was unsent or a user changed them."""
    of_conversation = Conversation.id == conversation_id
    # Locked first: the messages are read after those of concurrent transactions are committed.
    decided = select(Conversation.no_reply_needed_through).where(of_conversation).with_for_update()
    through = tx.execute(decided).scalar_one()
    incoming, outgoing = (tx.execute(_newest(conversation_id, outgoing=each)).scalar() for each in (False, True))
    answered = max((at for at in (outgoing, through) if at is not None), default=None)
    unanswered = select(func.min(Message.sent_at)).where(
        Message.conversation_id == conversation_id, Message.arrival.is_not(None), Message.standby.is_(False), _WRITTEN
    )
    if answered is not None:
        unanswered = unanswered.where(Message.sent_at > answered)
    since = tx.execute(unanswered).scalar()
    values = {"last_incoming_at": incoming, "last_outgoing_at": outgoing, "needs_reply_since": since}
    tx.execute(update(Conversation).where(of_conversation).values(**values))


def _newest(conversation_id: int, *, outgoing: bool) -> Select[datetime]:
    found = select(Message.sent_at).where(Message.conversation_id == conversation_id, _WRITTEN)
    return found.where(Message.outgoing.is_(outgoing)).order_by(Message.sent_at.desc(), Message.id.desc()).limit(1)


def is_automatic(app_id: str | None) -> bool:
    """Return whether another app sent a message of the account: neither Nametag's own nor an inbox of Meta."""
    chosen = settings.current()
    ours = (chosen.meta_app_id, chosen.meta_instagram_app_id)
    return app_id is not None and app_id not in META_INBOX_APPS and app_id not in ours
