"""What an event means for rows; order and repetition do not matter. With effects.py the only writer of messages."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Row, and_, bindparam, select, update

from app import clock, tombstones
from app.db.transaction import Tx
from app.db.types import digest
from app.identities import observations, self_contacts
from app.ingest import message_updates, statements
from app.ingest.message_updates import PREVIEW_CHARACTERS
from app.instagram.events import Event, EventKind, IgnoredEvent, MessageSeen, MessageSent, SelfMessage
from app.models.inbox import ALL_IDS, Account, AccountState, Conversation, Message, all_ids
from app.text import shorten

WEBHOOK_NOTED_EVERY = timedelta(minutes=1)


_ACCOUNT = select(Account.id.label("account_id"), *ALL_IDS, Account.connected_at, Account.last_webhook_at).where(
    Account.ig_account_id == bindparam("ig_account_id"), Account.state != AccountState.DELETING
)


class MisaddressedError(Exception):
    """An event that names neither its own account as sender nor as recipient (reliability.md S4)."""


class DuplicateMessageError(Exception):
    """Another transaction stored the same message while this one was storing it; a repetition changes nothing."""


@dataclass(frozen=True, slots=True)
class RecipientAccount:
    """The account an event belongs to: our row's id and every id under which Meta may name the account.

    What was sent before it was connected is history, and not to be read by anybody.
    """

    id: int
    own_ids: frozenset[str]
    connected_at: datetime
    last_webhook_at: datetime | None


def find_recipient(tx: Tx, ig_account_id: str) -> RecipientAccount | None:
    """Return the connected account with this professional account id, or None."""
    row = tx.execute(_ACCOUNT, {"ig_account_id": ig_account_id}).first()
    return row and _recipient(row)


def find_message_context(tx: Tx, sent: MessageSent) -> tuple[RecipientAccount | None, Row[Any] | None]:
    """Return a message's connected account, and what `event` has to know of the message: one statement tells both."""
    context = _message_context(tx, sent, likely_participant(sent)).first()
    return (context and _recipient(context)), context


def note_webhook(tx: Tx, accounts: Iterable[RecipientAccount], *, at: datetime) -> None:
    """Note that webhooks of these accounts arrived; at most one write a minute and account."""
    silent = [
        each.id
        for each in accounts
        if each.last_webhook_at is None or abs(at - each.last_webhook_at) > WEBHOOK_NOTED_EVERY
    ]
    if silent:
        tx.execute(update(Account).where(Account.id.in_(silent)).values(last_webhook_at=at))


def handle(
    tx: Tx, account: RecipientAccount, event: Event, *, context: Row[Any] | None = None, from_sync: bool = False
) -> bool:
    """Apply one event; returns whether somebody's name should be looked up now.

    `context` is what `first_message` found, when nothing was changed since. `from_sync` says that it was not
    delivered but read from the Conversations API, where it may be history. Raises MisaddressedError for an event that
    does not concern the account, RepeatedError for a lost race.
    """
    if isinstance(event, MessageSent):
        return _message_sent(tx, account, event, context, from_sync=from_sync)
    if isinstance(event, SelfMessage):
        _learn_own_id(tx, account, event)
    elif isinstance(event, IgnoredEvent):
        passed = update(Account).where(Account.id == account.id)
        tx.execute(passed.values(passed_events=Account.passed_events + 1))
    elif not (isinstance(event, MessageSeen) and event.ig_sender_id in account.own_ids):
        message_updates.handle(tx, account.id, event, at=clock.now())
    return False


def handle_in_savepoint(tx: Tx, account: RecipientAccount, event_: Event, *, from_sync: bool = False) -> bool:
    """Apply one event in a savepoint; return and raise what `event` does, except RepeatedError."""
    while True:  # ends: the transaction that was faster has been committed
        try:
            with tx.savepoint():
                return handle(tx, account, event_, from_sync=from_sync)
        except DuplicateMessageError:
            continue


def is_stored(tx: Tx, account: RecipientAccount, event: Event) -> bool:
    """Return whether the message of an event is stored, and not unsent or deleted."""
    stored = select(Message.id).where(Message.account_id == account.id, Message.mid_digest == digest(event.mid))
    return tx.execute(stored.where(Message.kind != EventKind.UNSENT)).first() is not None


def _message_sent(
    tx: Tx, account: RecipientAccount, sent: MessageSent, context: Row[Any] | None, *, from_sync: bool
) -> bool:
    outgoing = sent.ig_sender_id in account.own_ids
    participant = _participant(account, sent, outgoing=outgoing)
    if participant is None:
        return False  # the account wrote to itself
    if context is None or participant != likely_participant(sent):
        context = _message_context(tx, sent, participant).one()
    mid_digest = digest(sent.mid)
    if context.id is not None:
        _complete(tx, account.id, participant, context, sent, from_sync=from_sync)
        return False
    if context.covered_until is not None and _was_deleted(tx, account.id, context, sent, mid_digest):
        return False
    said = sent.kind is not EventKind.HANDOVER  # which no participant says
    history = from_sync and sent.sent_at < account.connected_at
    unread = said and not outgoing and not history
    message = _message(account.id, sent, outgoing=outgoing, mid_digest=mid_digest)
    if not statements.store_message(
        tx, _conversation(account.id, participant, sent, outgoing=outgoing, unread=unread), message
    ):
        raise DuplicateMessageError
    now = clock.now()
    if context.has_pending_updates:
        message_updates.apply_pending(tx, account.id, mid_digest, at=now)
    tx.mark_changed(account.id, participant)
    # A new contact's first message may arrive as an echo of the account: they write now all the same.
    wanted = unread or (context.identity_id is None and said and not history)
    live = wanted and sent.sent_at > now - observations.LIVE
    return observations.record_contact(
        tx, account.id, participant, context, wrote=said and not outgoing, live=live, at=now
    )


def _was_deleted(tx: Tx, account_id: int, context: Row[Any], sent: MessageSent, mid_digest: bytes) -> bool:
    covered = tombstones.is_covered(context.covered_until, sent.sent_at)
    return covered or tombstones.any_deleted(tx, account_id, [mid_digest])


def _participant(account: RecipientAccount, sent: MessageSent, *, outgoing: bool) -> str | None:
    if not outgoing and sent.ig_recipient_id not in account.own_ids:
        raise MisaddressedError("the event names its own account neither as sender nor as recipient")
    if outgoing:
        return None if sent.ig_recipient_id in account.own_ids else sent.ig_recipient_id
    return sent.ig_sender_id


def _recipient(row: Row[Any]) -> RecipientAccount:
    return RecipientAccount(row.account_id, all_ids(row), row.connected_at, row.last_webhook_at)


def likely_participant(sent: MessageSent) -> str:
    """Return the participant of a message, judged by the account's most used id alone."""
    # An account has more ids than the one that deliveries are addressed to, but they are seldom used.
    return sent.ig_recipient_id if sent.ig_sender_id == sent.ig_account_id else sent.ig_sender_id


def _message_context(tx: Tx, sent: MessageSent, participant: str) -> CursorResult[Any]:
    of_message = {"mid_digest": digest(sent.mid), "ig_participant_id": participant, "person": digest(participant)}
    return tx.execute(statements.MESSAGE_CONTEXT, of_message | {"ig_account_id": sent.ig_account_id})


def _complete(tx: Tx, account_id: int, contact: str, known: Any, sent: MessageSent, *, from_sync: bool) -> None:
    """Replace a message's content where this version of it is richer; an edited text and an unsent message stay."""
    if known.kind == EventKind.UNSENT or (from_sync and known.kind != EventKind.UNSUPPORTED):
        return  # the Conversations API knows less of a message than its delivery
    found = select(Message.kind, Message.text, Message.attachments, Message.context, Message.edit_number)
    message = tx.execute(found.where(Message.id == known.id).with_for_update()).one()
    content = _content(sent)
    if _richness(sent.kind, content) <= _richness(message.kind, message._asdict()):
        return
    if message.edit_number is not None:
        content["text"] = message.text
    tx.execute(update(Message).where(Message.id == known.id).values(kind=sent.kind, **content))
    newest = and_(Conversation.id == known.conversation_id, Conversation.last_message_mid == sent.mid)
    summary = {"last_message_kind": sent.kind, "last_message_preview": _preview(content["text"])}
    tx.execute(update(Conversation).where(newest).values(**summary))
    tx.mark_changed(account_id, contact)


def _richness(kind: str, content: dict[str, Any]) -> int:
    """Return how many facts a version of a message holds: its kind, its text, each value of attachments and context."""
    values = [content[name] for name in ("text", "attachments", "context")]
    return int(kind != EventKind.UNSUPPORTED) + sum(map(_facts, values))


def _facts(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(_facts, value.values() if isinstance(value, dict) else value))
    return int(value not in (None, "", EventKind.UNSUPPORTED))


def _learn_own_id(tx: Tx, account: RecipientAccount, event: SelfMessage) -> None:
    own_id = event.ig_own_id
    if own_id in account.own_ids:
        return
    if account.own_ids.isdisjoint((event.ig_sender_id, event.ig_recipient_id)):
        raise MisaddressedError("the event names its own account neither as sender nor as recipient")
    known = tx.execute(select(Account.own_ids).where(Account.id == account.id).with_for_update()).scalar_one()
    tx.execute(update(Account).where(Account.id == account.id).values(own_ids=sorted({*known, own_id})))
    self_contacts.delete_self_contacts(tx, account.id, [own_id])
    tx.mark_changed(account.id)


def _conversation(
    account_id: int, participant: str, sent: MessageSent, *, outgoing: bool, unread: bool
) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "ig_participant_id": participant,
        "known": False,
        "unread_count": int(unread),
        "arrival_count": int(unread),
        "first_message_at": sent.sent_at,
        "last_message_at": sent.sent_at,
        "last_message_mid": sent.mid,
        "last_message_kind": sent.kind,
        "last_message_preview": _preview(sent.text),
        "last_message_outgoing": outgoing,
    }


def _message(account_id: int, sent: MessageSent, *, outgoing: bool, mid_digest: bytes) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "mid_digest": mid_digest,
        "mid": sent.mid,
        "ig_sender_id": sent.ig_sender_id,
        "outgoing": outgoing,
        "kind": sent.kind,
        "sent_at": sent.sent_at,
        **_content(sent),
    }


def _content(sent: MessageSent) -> dict[str, Any]:
    return {
        "text": sent.text,
        "attachments": [_kept(attachment) for attachment in map(asdict, sent.attachments)] or None,
        "context": sent.context or None,
    }


def _preview(text: str | None) -> str | None:
    return shorten(text, PREVIEW_CHARACTERS) if text else None


def _kept(attachment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attachment.items() if value}
