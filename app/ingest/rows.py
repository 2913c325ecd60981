"""The statements that every message takes, built once a kind of database: building one costs more than running it."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, case, exists, literal, or_, select

from app.db import transaction
from app.db.engine import Model
from app.db.transaction import Tx
from app.identities import forgotten, sighting
from app.models.identity import Identity, Tombstone
from app.models.inbox import ALL_IDS, Account, AccountState, Conversation, Message, WaitingEffect

_SUMMARY = (
    *("last_message_at", "last_message_mid", "last_message_kind", "last_message_preview", "last_message_outgoing"),
)

_BEGUN = ("account_id", "ig_participant_id", "known", "unread_count", "first_message_at", *_SUMMARY)
_STORED = (
    *("account_id", "mid_digest", "mid", "ig_sender_id", "outgoing", "kind", "sent_at"),
    *("text", "attachments", "context"),
)

_MID: BindParameter[bytes] = bindparam("mid_digest")
_MESSAGE = and_(Message.account_id == Account.id, Message.mid_digest == _MID)
_IDENTITY = and_(Identity.account_id == Account.id, Identity.ig_participant_id == bindparam("ig_participant_id"))
_WAITING = exists().where(WaitingEffect.account_id == Account.id, WaitingEffect.mid_digest == _MID)
_COVERED_UNTIL = select(forgotten.UNTIL).where(
    Tombstone.account_id == Account.id, Tombstone.person == bindparam("person")
)

# What is known before a message is stored, in one row: its account, the message itself, what waits for it, who writes.
STANDING = (
    select(
        *(Account.id.label("account_id"), *ALL_IDS, Account.connected_at, Account.last_webhook_at),
        *(Message.id, Message.kind, Message.conversation_id, _WAITING.label("effects_wait")),
        _COVERED_UNTIL.scalar_subquery().label("covered_until"),
        *sighting.STATE,
    )
    .select_from(Account)
    .outerjoin(Message, _MESSAGE)
    .outerjoin(Identity, _IDENTITY)
    .where(Account.ig_account_id == bindparam("ig_account_id"), Account.state != AccountState.DELETING)
)


def store(tx: Tx, conversation: dict[str, Any], message: dict[str, Any]) -> bool:
    """Begin a conversation or bring its summary up to date, and store its message; False if that is there already.

    The message's own time decides what is newest, not its arrival.
    """
    if tx.dialect == "postgresql":  # one statement: there a round trip costs more than the work
        return bool(tx.execute(_both(), _named("c", conversation) | _named("m", message)).rowcount)
    conversation_id = tx.execute(_conversation(tx.dialect), conversation).scalar_one()
    return bool(tx.execute(_message(tx.dialect), message | {"conversation_id": conversation_id}).rowcount)


@cache
def _conversation(dialect: str) -> Any:
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
def _message(dialect: str) -> Any:
    return transaction.insert_into(Message, dialect).on_conflict_do_nothing(index_elements=["account_id", "mid_digest"])


@cache
def _both() -> Any:
    conversation = _conversation("postgresql").values(_parameters("c", Conversation, _BEGUN)).cte("conversation")
    values = _parameters("m", Message, _STORED)
    stored = select(conversation.c.id, *values.values())
    return _message("postgresql").from_select(["conversation_id", *values], stored)


def _parameters(prefix: str, model: type[Model], names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"{prefix}_{name}", type_=model.__table__.c[name].type) for name in names}


def _named(prefix: str, row: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in row.items()}
