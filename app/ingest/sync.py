"""Reading back: conversations and their newest messages through the Conversations API, merged with what was delivered.

Finds messages whose webhook was lost, brings the history of a newly connected account, and keeps the usernames that
are seen on the way. A message that cannot be read is no proof of an unsend (instagram-platform.md 8).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Exhausted, NotFound
from app.identities import sighting
from app.identities.pages import Reader
from app.identities.sighting import Sighting
from app.ingest import apply
from app.ingest.apply import Addressee, MisaddressedError
from app.instagram.answers import ConversationPage, ReadMessage, Thread
from app.instagram.errors import CallFailed
from app.instagram.events import Kind, MessageSent
from app.models.identity import Purpose, Source
from app.models.inbox import Account, AccountState, Message
from app.text import clean_message, clean_name

logger = logging.getLogger(__name__)

MESSAGES = 20  # details of older ones are refused


@dataclass(slots=True)
class Synced:
    """What reading back brought; `complete` unless Meta or the budget ended it early, and then `reason` says why."""

    conversations: int = 0
    messages: int = 0
    names: int = 0
    calls: int = 0
    complete: bool = True
    reason: str | None = None


def account(account_id: int, *, limit: int | None = None, until_known: bool = False) -> Synced:
    """Read an account's conversations back, newest first: all of them, or `limit`, or `until_known` until a page
    brings nothing new. Raises NotFound without such an account.
    """
    synced = Synced()
    ig_account_id = db.session.execute(select(Account.ig_account_id).where(Account.id == account_id)).scalar()
    if ig_account_id is None:
        raise NotFound("account")
    reader = Reader(account_id, Purpose.SYNC, messages=MESSAGES)
    try:
        for page in _pages(reader, synced, limit):
            new = _merge(account_id, ig_account_id, page, synced)
            if until_known and not new:
                break
    except (CallFailed, Exhausted) as stop:
        synced.complete = False
        synced.reason = stop.sentence if isinstance(stop, CallFailed) else stop.reason
        logger.info("reading back ended early", extra={"account": account_id, "reason": synced.reason})
    synced.calls = reader.calls
    return synced


def connected() -> list[int]:
    """Return the accounts whose token works, for the hourly reconciliation."""
    return list(db.session.scalars(select(Account.id).where(Account.state == AccountState.CONNECTED)))


def _pages(reader: Reader, synced: Synced, limit: int | None) -> Iterator[ConversationPage]:
    while limit is None or synced.conversations < limit:
        page = reader.next(most=None if limit is None else limit - synced.conversations)
        yield page
        synced.conversations += len(page.threads)
        if page.after is None:
            return


def _merge(account_id: int, ig_account_id: str, page: ConversationPage, synced: Synced) -> bool:
    """Write one page; returns whether it brought a message that was not known."""
    before = _messages(account_id)
    for thread in page.threads:
        with transaction.write() as tx:  # for each, so that deliveries wait for one conversation at most
            addressee = apply.addressee(tx, ig_account_id)
            if addressee is None:
                raise NotFound("account")
            _thread(tx, addressee, ig_account_id, thread, synced)
    new = _messages(account_id) - before
    synced.messages += new
    return new > 0


def _thread(tx: Tx, addressee: Addressee, ig_account_id: str, thread: Thread, synced: Synced) -> None:
    others = [person for person in thread.participants if person[0] not in addressee.own_ids]
    if len(others) != 1:
        return  # a group, or nobody whom we could tell from the account
    for place, message in enumerate(reversed(thread.messages)):
        # Their times are whole seconds; a microsecond each keeps those of one second in the order they were told.
        sent_at = message.sent_at + timedelta(microseconds=place)
        try:
            apply.event_apart(tx, addressee, _event(ig_account_id, message, sent_at), read_back=True)
        except MisaddressedError:
            logger.info("a message read back names other parties than its conversation")
    [(ig_participant_id, username)] = others
    if username and thread.messages:
        seen = Sighting(
            ig_participant_id,
            username=clean_name(username),
            name=None,
            picture_url=None,
            source=Source.CONVERSATIONS,
            at=clock.now(),
        )
        synced.names += sighting.record(tx, addressee.id, seen)


def _event(ig_account_id: str, message: ReadMessage, sent_at: datetime) -> MessageSent:
    words = clean_message(message.text) if message.text else None
    kind = Kind.TEXT if words else message.attachments[0].kind if message.attachments else Kind.UNSUPPORTED
    return MessageSent(
        ig_account_id=ig_account_id,
        ig_sender_id=message.ig_sender_id,
        ig_recipient_id=message.ig_recipient_id,
        sent_at=sent_at,
        mid=message.mid,
        kind=kind,
        text=words,
        attachments=message.attachments,
        context={"reply_to": {"mid": message.reply_to_mid}} if message.reply_to_mid else {},
    )


def _messages(account_id: int) -> int:
    counted = select(func.count()).select_from(Message).where(Message.account_id == account_id)
    return db.session.execute(counted).scalar_one()
