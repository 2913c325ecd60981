"""The statements that every message takes, built once a kind of database: building one costs more than running it."""

from functools import cache
from typing import Any

from sqlalchemy import and_, case, literal, or_

from app.db import transaction
from app.models.inbox import Conversation, Message

_SUMMARY = (
    *("last_message_at", "last_message_mid", "last_message_kind", "last_message_preview", "last_message_outgoing"),
)


@cache
def conversation(dialect: str) -> Any:
    """Return the statement that begins a conversation or brings its summary up to date; it returns the row's id.

    The message's own time decides what is newest, not its arrival.
    """
    insert = transaction.insert_into(Conversation, dialect)
    old, new = Conversation, insert.excluded
    newest = or_(
        new.last_message_at > old.last_message_at,
        and_(new.last_message_at == old.last_message_at, new.last_message_mid > old.last_message_mid),
    )
    after_reading = or_(old.read_until.is_(None), new.last_message_at > old.read_until)
    earlier = new.first_message_at < old.first_message_at
    changes = {
        "unread_count": old.unread_count + case((after_reading, new.unread_count), else_=literal(0)),
        "first_message_at": case((earlier, new.first_message_at), else_=old.first_message_at),
    }
    changes |= {name: case((newest, new[name]), else_=getattr(old, name)) for name in _SUMMARY}
    upsert = insert.on_conflict_do_update(index_elements=["account_id", "ig_participant_id"], set_=changes)
    return upsert.returning(Conversation.id)


@cache
def message(dialect: str) -> Any:
    """Return the statement that stores a message unless it is there; it returns the row's id, or nothing."""
    insert = transaction.insert_into(Message, dialect)
    return insert.on_conflict_do_nothing(index_elements=["account_id", "mid_digest"]).returning(Message.id)
