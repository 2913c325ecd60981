"""SQL statements that every message runs, built once per database dialect: building one costs more than running it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, and_, bindparam, case, exists, func, null, or_, select

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
    "last_message_automatic",
)

_CONVERSATION_COLUMNS = (
    *("account_id", "ig_participant_id", "known", "unread_count", "arrival_count", "first_message_at"),
    *("last_incoming_at", "last_outgoing_at", "needs_reply_since"),
    *_SUMMARY_COLUMNS,
)
_MESSAGE_COLUMNS = (
    *("account_id", "mid_digest", "mid", "ig_sender_id", "outgoing", "kind", "sent_at"),
    *("text", "attachments", "context", "app_id", "standby", "from_sync", "terms"),
)

_MID: BindParameter[bytes] = bindparam("mid_digest")
_IS_MESSAGE = and_(Message.account_id == Account.id, Message.mid_digest == _MID)
_IS_IDENTITY = Identity.is_contact(Account.id, bindparam("ig_participant_id"))
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


class StoredMessage(Row[Any]):
    """The conversation of a stored message, as a type only.

    `recount`: the contact also wrote after the account's newest message, but since when is not known.
    """

    conversation_id: int
    arrival_count: int
    recount: bool


def message_context(
    tx: Tx, ig_account_id: str, *, mid_digest: bytes, ig_participant_id: str, contact_digest: bytes
) -> MessageContext | None:
    """Read what must be known before a message is stored; None without a connected account with this ID."""
    values = {"ig_account_id": ig_account_id, "mid_digest": mid_digest}
    contact = {"ig_participant_id": ig_participant_id, "contact_digest": contact_digest}
    found: MessageContext | None = _MESSAGE_CONTEXT.first(tx.connection, values | contact)
    return found


def store_message(tx: Tx, conversation: dict[str, Any], message: dict[str, Any]) -> StoredMessage | None:
    """Store a message and update its conversation's summary; return None if the message is already stored.

    The newest message is the one with the latest time of its own, among equal times the latest arrival. Unread state
    follows arrival alone: each message that counts as unread gets the next number of its conversation.
    """
    if tx.dialect == "postgresql":  # one statement: the round trip costs more than the work
        both: StoredMessage | None = _INSERT_BOTH.first(
            tx.connection, _prefixed("c", conversation) | _prefixed("m", message)
        )
        return both
    of: StoredMessage = _INSERT_CONVERSATION.first(tx.connection, conversation)
    place = {
        "conversation_id": of.conversation_id,
        "arrival": of.arrival_count if conversation["unread_count"] else None,
    }
    return None if _INSERT_MESSAGE.first(tx.connection, message | place) is None else of


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
    changes |= {name: _later(getattr(old, name), new[name]) for name in ("last_incoming_at", "last_outgoing_at")}
    changes["needs_reply_since"] = _needs_reply_since(old, new)
    upsert = insert.on_conflict_do_update(index_elements=["account_id", "ig_participant_id"], set_=changes)
    # Not IS NULL: SQLite 3.40 evaluates it wrongly in RETURNING.
    unknown = func.coalesce(old.needs_reply_since, old.last_outgoing_at) == old.last_outgoing_at
    recount = and_(unknown, old.last_incoming_at > old.last_outgoing_at)
    return upsert.returning(old.id.label("conversation_id"), old.arrival_count, recount.label("recount"))


def _later(old: Any, new: Any) -> Any:
    return case((or_(new.is_(None), old >= new), old), else_=new)


def _needs_reply_since(old: Any, new: Any) -> Any:
    # The rule is that of reply_state.recount, for one more message. Comparisons with NULL are not true.
    answered = old.needs_reply_since <= new.last_outgoing_at
    covered = or_(
        new.needs_reply_since <= old.last_outgoing_at,
        new.needs_reply_since <= old.no_reply_needed_through,
        new.needs_reply_since >= old.needs_reply_since,
    )
    unchanged = or_(new.needs_reply_since.is_(None), covered)
    return case((answered, null()), (unchanged, old.needs_reply_since), else_=new.needs_reply_since)


def _insert_message(dialect: str) -> Any:
    insert = transaction.insert_into(Message, dialect)
    return insert.on_conflict_do_nothing(index_elements=["account_id", "mid_digest"]).returning(Message.id)


def _insert_both(dialect: str) -> Any:
    stored_conversation = _parameters("c", Conversation, _CONVERSATION_COLUMNS)
    conversation = _insert_conversation(dialect).values(stored_conversation).cte("conversation")
    values = _parameters("m", Message, _MESSAGE_COLUMNS)
    arrival = case((stored_conversation["unread_count"] > 0, conversation.c.arrival_count))
    stored = select(conversation.c.conversation_id, arrival, *values.values())
    about = (select(conversation.c[name]).scalar_subquery().label(name) for name in ("arrival_count", "recount"))
    insert = transaction.insert_into(Message, dialect).from_select(["conversation_id", "arrival", *values], stored)
    insert = insert.on_conflict_do_nothing(index_elements=["account_id", "mid_digest"])
    return insert.returning(Message.conversation_id, *about)


def _parameters(prefix: str, model: type[Model], names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"{prefix}_{name}", type_=model.__table__.c[name].type) for name in names}


def _prefixed(prefix: str, row: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in row.items()}


_MESSAGE_CONTEXT = Prepared(lambda _: _CONTEXT)
_INSERT_CONVERSATION = Prepared(_insert_conversation, _CONVERSATION_COLUMNS)
_INSERT_MESSAGE = Prepared(_insert_message, ("conversation_id", "arrival", *_MESSAGE_COLUMNS))
_INSERT_BOTH = Prepared(_insert_both)
