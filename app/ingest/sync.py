"""Conversation sync: fetch conversations with their newest messages and merge them with delivered ones.

Finds messages whose webhook was lost, imports the history of a newly connected account, and records usernames.
Unreadable elements are skipped and reported with their ID. A message that cannot be read does not count as unsent.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update

from app import clock
from app.calls.conversation_reader import SIZES, ConversationReader
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.errors import NotFound, RetryLater, Unavailable
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.ingest import event_handlers
from app.ingest.event_handlers import MisaddressedError
from app.instagram.errors import GraphAPIError
from app.instagram.events import MessageSent
from app.instagram.messaging import kind_of
from app.instagram.responses import ConversationListPage, ReadConversation, ReadMessage, Skipped
from app.models.account import Account, AccountState
from app.models.call import Purpose
from app.models.conversation import Message
from app.models.identity import Source
from app.text import clean_message, real_name

logger = logging.getLogger(__name__)

MESSAGES = 20  # Meta returns no details of older ones
UNCHANGED = SIZES[0]  # a sync until nothing is new ends after this many conversations without a new message
REPORTED_IDS = 20  # of skipped elements, in logs and on the account's page
NO_CONTACT = "It has no contact, or more than one"
MISADDRESSED = "It names other parties than its conversation"


@dataclass(slots=True)
class Synced:
    """The result of a sync; unless `complete`, `reason` says why it stopped early."""

    conversations: int = 0
    messages: int = 0
    names: int = 0
    calls: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    complete: bool = True
    reason: str | None = None


def sync_account(
    account_id: int, *, limit: int | None = None, until_known: bool = False, purpose: Purpose = Purpose.SYNC
) -> Synced:
    """Sync an account's conversations, newest first: all, at most `limit`, or with `until_known` until nothing is new.

    The result is logged and, for Purpose.SYNC, stored for the account's page. Raises NotFound without the account.
    """
    synced, began_at = Synced(), clock.now()
    ig_account_id = db.session.execute(select(Account.ig_account_id).where(Account.id == account_id)).scalar()
    if ig_account_id is None:
        raise NotFound("account")
    reader = ConversationReader(account_id, purpose, messages=MESSAGES)
    try:
        _read(reader, ig_account_id, synced, limit=limit, until_known=until_known)
    except (GraphAPIError, RetryLater) as stop:
        synced.complete = False
        synced.reason = stop.sentence if isinstance(stop, GraphAPIError) else stop.reason
    synced.calls = reader.calls
    if purpose is Purpose.SYNC:
        with transaction.write() as tx:
            report(tx, account_id, synced, covered_until=began_at if synced.complete and limit is None else None)
    return synced


def connected_accounts() -> list[int]:
    """Return the IDs of accounts with a working access token, for the hourly sync."""
    return list(db.session.scalars(select(Account.id).where(Account.state == AccountState.CONNECTED)))


def _read(
    reader: ConversationReader, ig_account_id: str, synced: Synced, *, limit: int | None, until_known: bool
) -> None:
    listed = unchanged = 0
    while limit is None or listed < limit:
        page = reader.next(most=None if limit is None else limit - listed)
        new = _merge(ig_account_id, page, synced)
        listed += page.listed
        unchanged = 0 if new else unchanged + page.listed
        if page.after is None or (until_known and unchanged >= UNCHANGED):
            return


def report(tx: Tx, account_id: int, synced: Synced, *, covered_until: datetime | None) -> None:
    """Log the result of a sync and store it for the account's page.

    `covered_until` (aware UTC) is when a sync began that fetched everything missed before; None after another one.
    """
    if synced.skipped:
        extra = {"account": account_id, "skipped": len(synced.skipped), "ids": _ids(synced.skipped)}
        logger.warning("elements skipped by the conversation sync", extra=extra)
    if not synced.complete:
        logger.warning("conversation sync incomplete", extra={"account": account_id, "reason": synced.reason})
    values = {"last_synced_at": clock.now(), "last_sync_result": _as_json(synced)}
    tx.execute(update(Account).where(Account.id == account_id).values(**values))
    if covered_until is not None:
        later: ColumnElement[bool] = or_(Account.covered_until.is_(None), Account.covered_until < covered_until)
        tx.execute(update(Account).where(Account.id == account_id, later).values(covered_until=covered_until))


def _ids(skipped: Sequence[Skipped]) -> list[str | None]:
    return [each.id or each.conversation for each in skipped[:REPORTED_IDS]]


def _as_json(synced: Synced) -> dict[str, Any]:
    return {
        "conversations": synced.conversations,
        "messages": synced.messages,
        "skipped": len(synced.skipped),
        "skipped_ids": _ids(synced.skipped),
        "reason": synced.reason,
    }


def _merge(ig_account_id: str, page: ConversationListPage, synced: Synced) -> bool:
    """Store one page; return whether it had a new message."""
    before = synced.messages
    synced.skipped += page.skipped
    for thread in page.threads:
        stored = store_conversation(ig_account_id, thread)
        synced.conversations += stored.conversations
        synced.messages += stored.messages
        synced.names += stored.names
        synced.skipped += stored.skipped
    return synced.messages > before


def store_conversation(
    ig_account_id: str,
    thread: ReadConversation,
    also: Callable[[Tx, str, int], None] | None = None,
    *,
    passed: tuple[type[Exception], ...] = (),
) -> Synced:
    """Store one conversation. An error is a skipped element, except NotFound, Unavailable and those in `passed`.

    `also` is called in the same transaction, with the contact and the number of new messages.
    """
    try:
        return _store(ig_account_id, thread, also)
    except Exception as error:
        if isinstance(error, (NotFound, Unavailable, *passed)):
            raise
        logger.exception("conversation not stored")
        return Synced(skipped=[_skipped(thread, f"Nametag could not process it: {type(error).__name__}")])


def _store(ig_account_id: str, thread: ReadConversation, also: Callable[[Tx, str, int], None] | None) -> Synced:
    with transaction.write() as tx:
        account = event_handlers.find_recipient(tx, ig_account_id)
        if account is None:
            raise NotFound("account")
        others = [each for each in thread.participants if each[0] not in account.own_ids]
        if len(others) != 1:
            return Synced(skipped=[_skipped(thread, NO_CONTACT)])
        found, before = Synced(conversations=1), _count_synced(tx, account.id, thread)
        for place, message in enumerate(reversed(thread.messages)):
            # Meta's times are whole seconds; an extra microsecond each keeps messages of one second in order.
            sent = _event(ig_account_id, message, place)
            try:
                event_handlers.handle_in_savepoint(tx, account, sent, from_sync=True)
            except MisaddressedError:
                found.skipped.append(Skipped("message", message.mid, thread.ig_conversation_id, MISADDRESSED))
        found.messages = _count_synced(tx, account.id, thread) - before
        found.names = _record_username(tx, account.id, thread, *others[0])
        if also:
            also(tx, others[0][0], found.messages)
        return found


def _count_synced(tx: Tx, account_id: int, thread: ReadConversation) -> int:
    digests = [digest(message.mid) for message in thread.messages]
    of_thread = (Message.account_id == account_id, Message.mid_digest.in_(digests), Message.from_sync)
    return int(tx.execute(select(func.count()).where(*of_thread)).scalar_one())


def _record_username(
    tx: Tx, account_id: int, thread: ReadConversation, ig_participant_id: str, username: str | None
) -> int:
    username = real_name(username)
    if not username or not thread.messages:
        return 0
    at = clock.now()
    seen = ProfileObservation(ig_participant_id, username, None, None, source=Source.CONVERSATIONS, at=at)
    return int(observations.record(tx, account_id, seen))


def _event(ig_account_id: str, message: ReadMessage, place: int) -> MessageSent:
    text = clean_message(message.text) if message.text else None
    return MessageSent(
        ig_account_id=ig_account_id,
        ig_sender_id=message.ig_sender_id,
        ig_recipient_id=message.ig_recipient_id,
        sent_at=message.sent_at + timedelta(microseconds=place),
        mid=message.mid,
        kind=kind_of(text, message.attachments, message.context),
        text=text,
        attachments=message.attachments,
        context=message.context,
    )


def _skipped(thread: ReadConversation, reason: str) -> Skipped:
    return Skipped("conversation", thread.ig_conversation_id, thread.ig_conversation_id, reason)
