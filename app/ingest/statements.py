"""SQL statements that every message runs, built once per database dialect: building one costs more than running it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, and_, bindparam, case, exists, select

from app import tombstones
from app.db import transaction
from app.db.engine import Model
from app.db.prepared import Prepared
from app.db.transaction import Tx
from app.identities import observations
from app.models.account import ALL_IDS, Account, AccountState
from app.models.conversation import Conversation, Message
from app.models.erasure import Tombstone
from app.models.identity import Identity
from app.models.ingest import PendingMessageUpdate

_SUMMARY_COLUMNS = (
    *("last_message_at", "last_message_mid", "last_message_kind", "last_message_preview", "last_message_outgoing"),
)

_CONVERSATION_COLUMNS = (
    *("account_id", "ig_participant_id", "known", "unread_count", "arrival_count", "first_message_at"),
    *_SUMMARY_COLUMNS,
)
_MESSAGE_COLUMNS = (
    *("account_id", "mid_digest", "mid", "ig_sender_id", "outgoing", "kind", "sent_at"),
    *("text", "attachments", "context"),
)

_MID: BindParameter[bytes] = bindparam("mid_digest")
_IS_MESSAGE = and_(Message.account_id == Account.id, Message.mid_digest == _MID)
_IS_IDENTITY = and_(Identity.account_id == Account.id, Identity.ig_participant_id == bindparam("ig_participant_id"))
_HAS_PENDING_UPDATES = exists().where(
    PendingMessageUpdate.account_id == Account.id, PendingMessageUpdate.mid_digest == _MID
)
_COVERED_UNTIL = select(tombstones.COVERED_UNTIL).where(
    Tombstone.account_id == Account.id, Tombstone.contact_digest == bindparam("contact_digest")
)

_CONTEXT = (
    select(
        *(Account.id.label("account_id"), *ALL_IDS, Account.connected_at, Account.last_webhook_at),
        *(Message.id, Message.kind, Message.conversation_id, _HAS_PENDING_UPDATES.label("has_pending_updates")),
        _COVERED_UNTIL.scalar_subquery().label("covered_until"),
        *observations.STATE,
    )
    .select_from(Account)
    .outerjoin(Message, _IS_MESSAGE)
    .outerjoin(Identity, _IS_IDENTITY)
    .where(Account.ig_account_id == bindparam("ig_account_id"), Account.state != AccountState.DELETING)
)


class MessageContext(Row[Any]):
    """What must be known before a message is stored, as a type only: the rows are plain.

    `id`, `kind` and `conversation_id` are None unless the message is stored, `identity_id` is None for a new contact.
    """

    account_id: int
    connected_at: datetime
    last_webhook_at: datetime | None
    id: int | None
    kind: str | None
    conversation_id: int | None
    has_pending_updates: bool
    covered_until: datetime | None
    identity_id: int | None


def message_context(
    tx: Tx, ig_account_id: str, *, mid_digest: bytes, ig_participant_id: str, contact_digest: bytes
) -> MessageContext | None:
    """Read what must be known before a message is stored; None without a connected account with this ID."""
    values = {"ig_account_id": ig_account_id, "mid_digest": mid_digest}
    contact = {"ig_participant_id": ig_participant_id, "contact_digest": contact_digest}
    found: MessageContext | None = _MESSAGE_CONTEXT.first(tx.connection, values | contact)
    return found


def store_message(tx: Tx, conversation: dict[str, Any], message: dict[str, Any]) -> bool:
    """Store a message and update its conversation's summary; return False if the message is already stored.

    The newest message is the one with the latest time of its own, among equal times the latest arrival. Unread state
    follows arrival alone: each message that counts as unread gets the next number of its conversation.
    """
    if tx.dialect == "postgresql":  # one statement: the round trip costs more than the work
        both = _prefixed("c", conversation) | _prefixed("m", message)
        return _INSERT_BOTH.first(tx.connection, both) is not None
    stored_conversation = _INSERT_CONVERSATION.first(tx.connection, conversation)
    place = {
        "conversation_id": stored_conversation.id,
        "arrival": stored_conversation.arrival_count if conversation["unread_count"] else None,
    }
    return _INSERT_MESSAGE.first(tx.connection, message | place) is not None


def _insert_conversation(dialect: str) -> Any:
    insert = transaction.insert_into(Conversation, dialect)
    old, new = Conversation, insert.excluded
    newest = new.last_message_at >= old.last_message_at
    earlier = new.first_message_at < old.first_message_at
    changes = {
        "unread_count": old.unread_count + new.unread_count,
        "arrival_count": old.arrival_count + new.arrival_count,
        "first_message_at": case((earlier, new.first_message_at), else_=old.first_message_at),
    }
    changes |= {name: case((newest, new[name]), else_=getattr(old, name)) for name in _SUMMARY_COLUMNS}
    upsert = insert.on_conflict_do_update(index_elements=["account_id", "ig_participant_id"], set_=changes)
    return upsert.returning(Conversation.id, Conversation.arrival_count)


def _insert_message(dialect: str) -> Any:
    insert = transaction.insert_into(Message, dialect)
    return insert.on_conflict_do_nothing(index_elements=["account_id", "mid_digest"]).returning(Message.id)


def _insert_both(dialect: str) -> Any:
    stored_conversation = _parameters("c", Conversation, _CONVERSATION_COLUMNS)
    conversation = _insert_conversation(dialect).values(stored_conversation).cte("conversation")
    values = _parameters("m", Message, _MESSAGE_COLUMNS)
    arrival = case((stored_conversation["unread_count"] > 0, conversation.c.arrival_count))
    stored = select(conversation.c.id, arrival, *values.values())
    return _insert_message(dialect).from_select(["conversation_id", "arrival", *values], stored)


def _parameters(prefix: str, model: type[Model], names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"{prefix}_{name}", type_=model.__table__.c[name].type) for name in names}


def _prefixed(prefix: str, row: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in row.items()}


_MESSAGE_CONTEXT = Prepared(lambda _: _CONTEXT)
_INSERT_CONVERSATION = Prepared(_insert_conversation, _CONVERSATION_COLUMNS)
_INSERT_MESSAGE = Prepared(_insert_message, ("conversation_id", "arrival", *_MESSAGE_COLUMNS))
_INSERT_BOTH = Prepared(_insert_both)
