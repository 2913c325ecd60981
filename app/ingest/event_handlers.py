"""Apply webhook events to the database, whatever their order and however often they arrive.

With `message_updates` the only writer of `messages`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, and_, bindparam, select, update

from app import clock, read_state, reply_state, tombstones
from app.db.transaction import Tx
from app.db.types import digest
from app.identities import observations, self_contacts
from app.ingest import indexing, message_updates, statements
from app.ingest.message_updates import PREVIEW_CHARACTERS
from app.ingest.statements import MessageContext, StoredMessage
from app.instagram.events import (
    NOT_WRITTEN,
    Event,
    EventKind,
    IgnoredEvent,
    MessageSeen,
    MessageSent,
    SelfMessage,
)
from app.models.account import ALL_IDS, Account, AccountState, all_ids
from app.models.conversation import Conversation, Message
from app.text import shorten

LAST_WEBHOOK_PRECISION = timedelta(minutes=1)
LATE = timedelta(days=7)  # a synced message that is older is history: no user can answer it anymore
NOT_A_PARTY = "the account is neither the sender nor the recipient of this event"

_ACCOUNT = select(Account.id.label("account_id"), *ALL_IDS, Account.connected_at, Account.last_webhook_at).where(
    Account.ig_account_id == bindparam("ig_account_id"), Account.state != AccountState.DELETING
)


class MisaddressedError(Exception):
    """The account of the entry is neither the sender nor the recipient of the event."""


class DuplicateMessageError(Exception):
    """A concurrent transaction stored the same message first; the next attempt finds it stored."""


@dataclass(frozen=True, slots=True)
class RecipientAccount:
    """The account an event belongs to: the ID of its row and every ID that Meta uses for the account.

    Synced messages from before `connected_at` (aware UTC) are history: never unread.
    """

    id: int
    own_ids: frozenset[str]
    connected_at: datetime
    last_webhook_at: datetime | None


def find_recipient(tx: Tx, ig_account_id: str) -> RecipientAccount | None:
    """Return the connected account with this professional account ID, or None."""
    row = tx.execute(_ACCOUNT, {"ig_account_id": ig_account_id}).first()
    return row and _recipient(row)


def find_message_context(tx: Tx, sent: MessageSent) -> tuple[RecipientAccount | None, MessageContext | None]:
    """Return a message's connected account and what `handle` needs to know about the message, with one statement."""
    context = _message_context(tx, sent, likely_participant(sent))
    return (context and _recipient(context)), context


def record_webhook_time(tx: Tx, accounts: Iterable[RecipientAccount], *, at: datetime) -> None:
    """Record when a webhook of these accounts last arrived; at most one write per minute and account."""
    due = [
        each.id
        for each in accounts
        if each.last_webhook_at is None or abs(at - each.last_webhook_at) > LAST_WEBHOOK_PRECISION
    ]
    if due:
        tx.execute(update(Account).where(Account.id.in_(due)).values(last_webhook_at=at))


def handle(
    tx: Tx, account: RecipientAccount, event: Event, *, context: MessageContext | None = None, from_sync: bool = False
) -> bool:
    """Apply one event; return whether to look its contact up now.

    `context` is what `find_message_context` returned, if nothing changed since. `from_sync` marks an event from the
    Conversations API, which may be history. Raises MisaddressedError, and DuplicateMessageError after a lost race.
    """
    if isinstance(event, MessageSent):
        return _message_sent(tx, account, event, context, from_sync=from_sync)
    if isinstance(event, SelfMessage):
        _add_own_id(tx, account, event)
    elif isinstance(event, IgnoredEvent):
        counted = update(Account).where(Account.id == account.id)
        tx.execute(counted.values(ignored_events=Account.ignored_events + 1))
    elif not (isinstance(event, MessageSeen) and event.ig_sender_id in account.own_ids):
        message_updates.handle(tx, account.id, event, at=clock.now())
    return False


def handle_in_savepoint(tx: Tx, account: RecipientAccount, event_: Event, *, from_sync: bool = False) -> bool:
    """Apply one event in a savepoint; return and raise what `event` does, except RepeatedError."""
    while True:  # ends, because the faster transaction is committed by now
        try:
            with tx.savepoint():
                return handle(tx, account, event_, from_sync=from_sync)
        except DuplicateMessageError:
            continue


def is_stored(tx: Tx, account: RecipientAccount, event: Event) -> bool:
    """Return whether the message of an event is stored, and neither unsent nor deleted."""
    stored = select(Message.id).where(Message.account_id == account.id, Message.mid_digest == digest(event.mid))
    return tx.execute(stored.where(Message.kind != EventKind.UNSENT)).first() is not None


def _message_sent(
    tx: Tx, account: RecipientAccount, sent: MessageSent, context: MessageContext | None, *, from_sync: bool
) -> bool:
    outgoing = sent.ig_sender_id in account.own_ids
    participant = _participant(account, sent, outgoing=outgoing)
    if participant is None:
        return False  # the account wrote to itself
    if context is None or participant != likely_participant(sent):
        context = cast("MessageContext", _message_context(tx, sent, participant))
    mid_digest = digest(sent.mid)
    if context.id is not None:
        _enrich(tx, account.id, participant, context, sent, from_sync=from_sync)
        return False
    if context.covered_until is not None and _was_deleted(tx, account.id, context, sent, mid_digest):
        return False
    written = sent.kind is not EventKind.HANDOVER  # a handover has no author
    now = clock.now()
    history = from_sync and sent.sent_at < max(account.connected_at, now - LATE)
    unread = written and not outgoing and not history
    message = _message(account.id, sent, outgoing=outgoing, mid_digest=mid_digest) | {"from_sync": from_sync}
    conversation = _conversation(account.id, participant, sent, outgoing=outgoing, unread=unread)
    stored = statements.store_message(tx, conversation, message)
    if stored is None:
        raise DuplicateMessageError
    if conversation["last_outgoing_at"] is not None:
        _mark_answered(tx, stored, sent)
    if context.has_pending_updates:
        message_updates.apply_pending(tx, account.id, mid_digest, at=now)
    tx.mark_changed(account.id, participant)
    # The first event about a new contact can be an echo of the account's reply.
    active = unread or (context.identity_id is None and written and not history)
    live = active and sent.sent_at > now - observations.LIVE
    return observations.record_contact(
        tx, account.id, participant, context, wrote=written and not outgoing, live=live, at=now
    )


def _mark_answered(tx: Tx, stored: StoredMessage, answer: MessageSent) -> None:
    if stored.recount:  # the answer arrived after later messages of the contact
        reply_state.recount(tx, stored.conversation_id)
    if not reply_state.is_automatic(answer.app_id):
        read_state.mark_answered(tx, stored.conversation_id, answer.sent_at)


def _was_deleted(tx: Tx, account_id: int, context: MessageContext, sent: MessageSent, mid_digest: bytes) -> bool:
    covered = tombstones.is_covered(context.covered_until, sent.sent_at)
    return covered or tombstones.any_deleted(tx, account_id, [mid_digest])


def _participant(account: RecipientAccount, sent: MessageSent, *, outgoing: bool) -> str | None:
    if not outgoing and sent.ig_recipient_id not in account.own_ids:
        raise MisaddressedError(NOT_A_PARTY)
    if outgoing:
        return None if sent.ig_recipient_id in account.own_ids else sent.ig_recipient_id
    return sent.ig_sender_id


def _recipient(row: Row[Any]) -> RecipientAccount:
    return RecipientAccount(row.account_id, all_ids(row), row.connected_at, row.last_webhook_at)


def likely_participant(sent: MessageSent) -> str:
    """Return the participant of a message, judged by the account's professional account ID alone."""
    # Meta rarely uses the other IDs of an account.
    return sent.ig_recipient_id if sent.ig_sender_id == sent.ig_account_id else sent.ig_sender_id


def _message_context(tx: Tx, sent: MessageSent, participant: str) -> MessageContext | None:
    return statements.message_context(
        tx,
        sent.ig_account_id,
        mid_digest=digest(sent.mid),
        ig_participant_id=participant,
        contact_digest=digest(participant),
    )


def _enrich(
    tx: Tx, account_id: int, contact: str, known: MessageContext, sent: MessageSent, *, from_sync: bool
) -> None:
    """Replace a message's content if this version is richer; an edited text and an unsent message stay."""
    if known.kind == EventKind.UNSENT or (from_sync and known.kind != EventKind.UNSUPPORTED):
        return  # the Conversations API returns less than the webhook
    columns = (Message.kind, Message.text, Message.attachments, Message.context, Message.edit_number, Message.app_id)
    stored = select(*columns, Message.from_sync).where(Message.id == known.id)
    message = tx.execute(stored.with_for_update()).one()
    if message.from_sync and not from_sync:
        tx.execute(update(Message).where(Message.id == known.id).values(from_sync=False))
    if sent.app_id is not None and message.app_id is None:
        _add_app(tx, known, sent)
        tx.mark_changed(account_id, contact)
    content = _content(sent)
    if _richness(sent.kind, content) <= _richness(message.kind, message._asdict()):
        return
    if message.edit_number is not None:
        content["text"] = message.text
    terms = indexing.terms(sent.kind, **content)
    tx.execute(update(Message).where(Message.id == known.id).values(kind=sent.kind, **content, terms=terms))
    newest = and_(Conversation.id == known.conversation_id, Conversation.last_message_mid == sent.mid)
    summary = {"last_message_kind": sent.kind, "last_message_preview": _preview(content["text"])}
    tx.execute(update(Conversation).where(newest).values(**summary))
    tx.mark_changed(account_id, contact)


def _richness(kind: str, content: dict[str, Any]) -> int:
    """Return how many facts a version of a message has: kind, text, each value of attachments and context."""
    values = [content[name] for name in ("text", "attachments", "context")]
    return int(kind != EventKind.UNSUPPORTED) + sum(map(_count_facts, values))


def _count_facts(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(_count_facts, value.values() if isinstance(value, dict) else value))
    return int(value not in (None, "", EventKind.UNSUPPORTED))


def _add_own_id(tx: Tx, account: RecipientAccount, event: SelfMessage) -> None:
    own_id = event.ig_own_id
    if own_id in account.own_ids:
        return
    if account.own_ids.isdisjoint((event.ig_sender_id, event.ig_recipient_id)):
        raise MisaddressedError(NOT_A_PARTY)
    known = tx.execute(select(Account.own_ids).where(Account.id == account.id).with_for_update()).scalar_one()
    tx.execute(update(Account).where(Account.id == account.id).values(own_ids=sorted({*known, own_id})))
    self_contacts.delete_self_contacts(tx, account.id, [own_id])
    tx.mark_changed(account.id)


def _conversation(
    account_id: int, participant: str, sent: MessageSent, *, outgoing: bool, unread: bool
) -> dict[str, Any]:
    written = sent.kind not in NOT_WRITTEN
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
        "last_message_automatic": outgoing and reply_state.is_automatic(sent.app_id),
        "last_incoming_at": sent.sent_at if written and not outgoing else None,
        "last_outgoing_at": sent.sent_at if written and outgoing else None,
        "needs_reply_since": sent.sent_at if written and unread and not sent.standby else None,
    }


def _message(account_id: int, sent: MessageSent, *, outgoing: bool, mid_digest: bytes) -> dict[str, Any]:
    content = _content(sent)
    return {
        "account_id": account_id,
        "mid_digest": mid_digest,
        "mid": sent.mid,
        "ig_sender_id": sent.ig_sender_id,
        "outgoing": outgoing,
        "kind": sent.kind,
        "sent_at": sent.sent_at,
        "app_id": sent.app_id if outgoing else None,
        "standby": sent.standby,
        **content,
        "terms": indexing.terms(sent.kind, **content),
    }


def _add_app(tx: Tx, known: MessageContext, sent: MessageSent) -> None:
    """Add the app that sent an echo, which the conversation sync does not know."""
    tx.execute(update(Message).where(Message.id == known.id, Message.outgoing).values(app_id=sent.app_id))
    newest = and_(
        Conversation.id == known.conversation_id,
        Conversation.last_message_mid == sent.mid,
        Conversation.last_message_outgoing,
    )
    tx.execute(update(Conversation).where(newest).values(last_message_automatic=reply_state.is_automatic(sent.app_id)))


def _content(sent: MessageSent) -> dict[str, Any]:
    return {
        "text": sent.text,
        "attachments": [_without_empty(attachment) for attachment in map(asdict, sent.attachments)] or None,
        "context": sent.context or None,
    }


def _preview(text: str | None) -> str | None:
    return shorten(text, PREVIEW_CHARACTERS) if text else None


def _without_empty(attachment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attachment.items() if value}
