"""Conversation sync: fetch conversations with their newest messages and merge them with delivered ones.

Finds messages whose webhook was lost, imports the history of a newly connected account, and records usernames.
Unreadable elements are skipped and reported with their ID. A message that cannot be read does not count as unsent.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update

from app import clock
from app.calls.conversation_reader import SIZES, ConversationReader
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
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
    synced = Synced()
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
        _report(account_id, synced)
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
        new = _merge(reader.account_id, ig_account_id, page, synced)
        listed += page.listed
        unchanged = 0 if new else unchanged + page.listed
        if page.after is None or (until_known and unchanged >= UNCHANGED):
            return


def _report(account_id: int, synced: Synced) -> None:
    if synced.skipped:
        ids = [each.id or each.conversation for each in synced.skipped[:REPORTED_IDS]]
        extra = {"account": account_id, "skipped": len(synced.skipped), "ids": ids}
        logger.warning("elements skipped by the conversation sync", extra=extra)
    if not synced.complete:
        logger.warning("conversation sync incomplete", extra={"account": account_id, "reason": synced.reason})
    values = {"last_synced_at": clock.now(), "last_sync_result": _as_json(synced)}
    result = update(Account).where(Account.id == account_id).values(**values)
    with transaction.write() as tx:
        tx.execute(result)


def _as_json(synced: Synced) -> dict[str, Any]:
    return {
        "conversations": synced.conversations,
        "messages": synced.messages,
        "skipped": len(synced.skipped),
        "skipped_ids": [each.id or each.conversation for each in synced.skipped[:REPORTED_IDS]],
        "reason": synced.reason,
    }


def _merge(account_id: int, ig_account_id: str, page: ConversationListPage, synced: Synced) -> bool:
    """Store one page; return whether it had a new message."""
    before = _count_messages(account_id)
    synced.skipped += page.skipped
    for thread in page.threads:
        try:
            _merge_one(ig_account_id, thread, synced)
        except (NotFound, Unavailable):
            raise
        except Exception as error:
            logger.exception("conversation not stored")
            synced.skipped.append(_skipped(thread, f"Nametag could not process it: {type(error).__name__}"))
    new = _count_messages(account_id) - before
    synced.messages += new
    return new > 0


def _merge_one(ig_account_id: str, thread: ReadConversation, synced: Synced) -> None:
    found = _store(ig_account_id, thread)
    synced.conversations += found.conversations
    synced.names += found.names
    synced.skipped += found.skipped


def _store(ig_account_id: str, thread: ReadConversation) -> Synced:
    with transaction.write() as tx:
        account = event_handlers.find_recipient(tx, ig_account_id)
        if account is None:
            raise NotFound("account")
        others = [each for each in thread.participants if each[0] not in account.own_ids]
        if len(others) != 1:
            return Synced(skipped=[_skipped(thread, NO_CONTACT)])
        found = Synced(conversations=1)
        for place, message in enumerate(reversed(thread.messages)):
            # Meta's times are whole seconds; an extra microsecond each keeps messages of one second in order.
            sent = _event(ig_account_id, message, place)
            try:
                event_handlers.handle_in_savepoint(tx, account, sent, from_sync=True)
            except MisaddressedError:
                found.skipped.append(Skipped("message", message.mid, thread.ig_conversation_id, MISADDRESSED))
        found.names = _record_username(tx, account.id, thread, *others[0])
        return found


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


def _count_messages(account_id: int) -> int:
    counted = select(func.count()).select_from(Message).where(Message.account_id == account_id)
    return db.session.execute(counted).scalar_one()
