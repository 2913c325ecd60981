"""What desktop notifications report: contacts whose new messages nobody has read or answered."""

from dataclasses import dataclass

from sqlalchemy import and_, func, select

from app.db.engine import db
from app.identities import display
from app.instagram.events import EventKind
from app.instagram.previews import preview
from app.models.account import Account, AccountState
from app.models.contact import same_contact
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.viewer import Viewer

LOOKED_AT = 200  # of the newest messages, which bounds the query


@dataclass(frozen=True, slots=True)
class Notice:
    """A conversation with new messages. `text` is the newest one, or its kind in words."""

    conversation_id: int
    name: str
    text: str


def newest_message() -> int:
    """Return the ID of the message that was stored last, 0 before the first one."""
    return db.session.execute(select(func.max(Message.id))).scalar() or 0


def since(viewer: Viewer, message_id: int, until: int) -> tuple[Notice, ...]:
    """Return the conversations with messages stored after `message_id`, up to `until`; the newest message first."""
    stored = (
        select(Message.conversation_id, Message.arrival, Message.id)
        .where(Message.id > message_id, Message.id <= until, Message.kind != EventKind.UNSENT)
        .order_by(Message.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    unread = and_(stored.c.arrival > Conversation.read_through, Conversation.last_message_outgoing.is_(False))
    found = (
        select(
            *(Conversation.id, Conversation.ig_participant_id, Identity.username, Identity.name),
            *(Identity.confusable_digits, Conversation.last_message_kind, Conversation.last_message_preview),
        )
        .join(stored, stored.c.conversation_id == Conversation.id)
        .join(Account, and_(Account.id == Conversation.account_id, Account.state != AccountState.DELETING))
        .outerjoin(Identity, same_contact(Identity, Conversation))
        .where(unread)
        .order_by(stored.c.id.desc())
    )
    rows = {row.id: row for row in db.session.execute(viewer.visible(found, Conversation.account_id))}
    return tuple(
        Notice(
            row.id,
            display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits).text,
            preview(row.last_message_kind, row.last_message_preview, outgoing=False),
        )
        for row in rows.values()
    )
