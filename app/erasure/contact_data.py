"""What is stored about one contact: in which tables, and which columns an export holds.

Counting, export and deletion find the rows of a contact by the same rules.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from app import tombstones
from app.db.engine import Model, db
from app.identities import listing
from app.identities.listing import ListedIdentity
from app.ingest import pending_updates
from app.models.account import ALL_IDS, Account, all_ids
from app.models.call import ApiCall
from app.models.contact import ContactKey
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, StoredAvatar, UsernameHistory
from app.models.ingest import DeadLetter, PendingMessageUpdate
from app.models.run import Run, RunItem
from app.models.user import Pin
from app.text import plural
from app.viewer import Role, Viewer

Execute = Callable[..., Any]  # of a session, or of a transaction
LETTERS = 20  # dead letters in memory at the same time: one can have 4 MiB


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of an account; `own_ids` are the account's."""

    account_id: int
    ig_account_id: str
    ig_participant_id: str
    own_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class DataPart:
    """The rows of one table that concern a contact.

    `key` is their name in an export, which holds the columns `exported`; `internal` are the others, which say nothing
    about the contact, repeat what is exported, or are about users.
    """

    key: str
    noun: str
    model: type[Model]
    find: Callable[[Execute, Contact], ColumnElement[bool]]
    exported: tuple[InstrumentedAttribute[Any], ...]
    internal: frozenset[str]
    nouns: str | None = field(default=None)

    def words(self, number: int) -> str:
        """Return a number of rows in words: 2 messages."""
        return plural(number, self.noun, self.nouns)

    @property
    def title(self) -> str:
        """The rows as a title: Messages."""
        words = self.nouns or f"{self.noun}s"
        return words[0].upper() + words[1:]


@dataclass(frozen=True, slots=True)
class StoredData:
    """What is stored about the contact `identity`: parts and their numbers of rows."""

    identity: ListedIdentity
    counts: tuple[tuple[DataPart, int], ...]


def get_contact(viewer: Viewer, identity_id: int) -> tuple[Contact, ListedIdentity]:
    """Return a contact by the ID of its identity, for admins. Raises NotFound, also for one they may not see."""
    viewer.require(Role.ADMIN)
    identity = listing.get_identity(viewer, identity_id)
    row = db.session.execute(select(*ALL_IDS).where(Account.id == identity.account_id)).one()
    return Contact(identity.account_id, identity.ig_account_id, identity.ig_participant_id, all_ids(row)), identity


def get_stored_data(viewer: Viewer, identity_id: int) -> StoredData:
    """Return what is stored about a contact, for admins. Raises NotFound."""
    contact, identity = get_contact(viewer, identity_id)
    counts = count(db.session.execute, find_rows(db.session.execute, contact))
    return StoredData(identity, tuple(counts.items()))


def as_dict(stored: StoredData) -> dict[str, Any]:
    """Return what is stored about a contact as API and command line show it."""
    return {
        "identityId": str(stored.identity.id),
        "accountId": stored.identity.ig_account_id,
        "participantPlatformId": stored.identity.ig_participant_id,
        "displayName": stored.identity.display.text,
        "counts": [{"key": part.key, "count": number} for part, number in stored.counts],
    }


def find_rows(execute: Execute, contact: Contact) -> dict[DataPart, ColumnElement[bool]]:
    """Return the condition on the rows about a contact in each part. Reads all dead letters of the account."""
    return {part: part.find(execute, contact) for part in PARTS}


def count(execute: Execute, found: Mapping[DataPart, ColumnElement[bool]]) -> dict[DataPart, int]:
    """Return the number of rows in each part that `find_rows` found."""
    return {
        part: execute(select(func.count()).select_from(part.model).where(condition)).scalar_one()
        for part, condition in found.items()
    }


def of_contact(model: type[ContactKey], contact: Contact) -> ColumnElement[bool]:
    """Select the rows of a contact in a table that has the contact's ID."""
    return model.is_contact(contact.account_id, contact.ig_participant_id)


def _letters(execute: Execute, contact: Contact) -> ColumnElement[bool]:
    """Find the dead letters that name a contact or one of the contact's messages."""
    mids = set(execute(select(Message.mid_digest).where(_of_conversation(contact))).scalars())
    of_account = or_(DeadLetter.account_id == contact.account_id, DeadLetter.account_id.is_(None))
    columns = (DeadLetter.id, DeadLetter.raw, DeadLetter.mid_digest)
    letters = execute(select(*columns).where(of_account).execution_options(yield_per=LETTERS))
    named = contact.ig_participant_id.encode()
    found = [row.id for row in letters if named in row.raw or not mids.isdisjoint(_mids(row))]
    return DeadLetter.id.in_(found)


def _pins(execute: Execute, contact: Contact) -> ColumnElement[bool]:
    """Find the pinned searches, of all users, that name a contact: ID, name, or any of the usernames."""
    names = {contact.ig_participant_id}
    for row in execute(select(Identity.username, Identity.name).where(of_contact(Identity, contact))).all():
        names.update(filter(None, row))
    former = select(UsernameHistory.old_username).where(UsernameHistory.identity_id.in_(_identity_ids(contact)))
    names.update(filter(None, execute(former).scalars()))
    rows = execute(select(Pin.id, Pin.name, Pin.q)).all()
    # Whole words only: a contact called Ann is not named by "annual".
    named = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(map(str.casefold, names))))})(?![\w])")
    return Pin.id.in_([row.id for row in rows if named.search(f"{row.name}\n{row.q}".casefold())])


def _mids(letter: Any) -> set[bytes]:
    return {letter.mid_digest, *tombstones.message_digests(letter.raw)}


def _conversation(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return Conversation.id.in_(select(Conversation.id).where(of_contact(Conversation, contact)))


def _of_conversation(contact: Contact) -> ColumnElement[bool]:
    return Message.conversation_id.in_(select(Conversation.id).where(of_contact(Conversation, contact)))


def _messages(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return _of_conversation(contact)


def _identity_ids(contact: Contact) -> Any:
    return select(Identity.id).where(of_contact(Identity, contact))


def _identity(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return Identity.id.in_(_identity_ids(contact))


def _usernames(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return UsernameHistory.identity_id.in_(_identity_ids(contact))


def _picture(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return StoredAvatar.identity_id.in_(_identity_ids(contact))


def _calls(_: Execute, contact: Contact) -> ColumnElement[bool]:
    return ApiCall.id.in_(select(ApiCall.id).where(of_contact(ApiCall, contact)))


def _items(_: Execute, contact: Contact) -> ColumnElement[bool]:
    of_account = RunItem.run_id.in_(select(Run.id).where(Run.account_id == contact.account_id))
    return of_account & (RunItem.ig_participant_id == contact.ig_participant_id)


def _pending(execute: Execute, contact: Contact) -> ColumnElement[bool]:
    found = pending_updates.ids_of_contact(execute, contact.account_id, contact.ig_participant_id)
    return PendingMessageUpdate.id.in_(found)


IDENTITY = DataPart(
    "identity",
    "identity",
    Identity,
    _identity,
    (
        *(Identity.ig_participant_id, Identity.first_seen_at),
        *(Identity.username, Identity.username_at, Identity.username_source),
        *(Identity.name, Identity.name_at, Identity.name_source),
        *(Identity.picture_url, Identity.picture_at, Identity.picture_source, Identity.picture_expires_at),
        *(Identity.last_success_at, Identity.last_failure_at, Identity.failure_count),
        *(Identity.last_error, Identity.last_error_code, Identity.next_try_at, Identity.raw_answer),
    ),
    frozenset({"id", "account_id", "skeleton", "confusable_digits", "next_purpose", "claimed_until", "terms"}),
    "identities",
)
PICTURE = DataPart(
    "picture",
    "picture",
    StoredAvatar,
    _picture,
    (StoredAvatar.tried_at,),
    frozenset({"identity_id", "content", "version"}),  # the content is a file of its own
)
CONVERSATION = DataPart(
    "conversation",
    "conversation",
    Conversation,
    _conversation,
    (
        *(Conversation.status, Conversation.first_message_at, Conversation.last_message_at),
        *(Conversation.seen_until, Conversation.seen_at, Conversation.last_reaction, Conversation.last_reaction_at),
        *(Conversation.last_incoming_at, Conversation.last_outgoing_at, Conversation.needs_reply_since),
        *(Conversation.no_reply_needed_through, Conversation.unread_count),
    ),
    frozenset(
        {
            *("id", "account_id", "ig_participant_id", "known", "arrival_count", "read_through"),
            *("last_message_mid", "last_message_kind", "last_message_preview", "last_message_outgoing"),
            *("last_message_automatic", "no_reply_needed_by"),
        }
    ),
)
MESSAGES = DataPart(
    "messages",
    "message",
    Message,
    _messages,
    (
        *(Message.mid, Message.sent_at, Message.ig_sender_id, Message.outgoing, Message.kind, Message.text),
        *(Message.attachments, Message.context, Message.edit_number, Message.edited_at, Message.reactions),
        *(Message.app_id, Message.standby, Message.from_sync),
    ),
    frozenset({"id", "account_id", "conversation_id", "mid_digest", "arrival", "terms"}),
)
DEAD_LETTERS = DataPart(
    "deadLetters",
    "dead letter",
    DeadLetter,
    _letters,
    (DeadLetter.received_at, DeadLetter.reason, DeadLetter.explanation, DeadLetter.times, DeadLetter.raw),
    frozenset({"id", "account_id", "ig_account_id", "mid_digest", "digest"}),
)
ITEMS = DataPart(
    "jobs",
    "job entry",
    RunItem,
    _items,
    (
        *(RunItem.run_id, RunItem.state, RunItem.reason, RunItem.code, RunItem.tries, RunItem.next_try_at),
        *(RunItem.calls, RunItem.seconds, RunItem.settled_at, RunItem.found, RunItem.lost),
    ),
    frozenset({"ig_participant_id", "position"}),
    "job entries",
)
PINS = DataPart(
    "pinnedSearches",
    "pinned search",
    Pin,
    _pins,
    (Pin.name, Pin.filter, Pin.q),
    frozenset({"id", "user_id"}),
    "pinned searches",
)
PARTS = (
    CONVERSATION,
    MESSAGES,
    IDENTITY,
    DataPart(
        "earlierUsernames",
        "earlier username",
        UsernameHistory,
        _usernames,
        (UsernameHistory.old_username, UsernameHistory.new_username, UsernameHistory.source, UsernameHistory.at),
        frozenset({"id", "identity_id"}),
    ),
    PICTURE,
    DataPart(
        "lookups",
        "API call",
        ApiCall,
        _calls,
        (
            *(ApiCall.at, ApiCall.call, ApiCall.purpose, ApiCall.http_status, ApiCall.code, ApiCall.answer),
            *(ApiCall.took_ms, ApiCall.run_id),
        ),
        frozenset({"id", "account_id", "ig_participant_id"}),
    ),
    ITEMS,
    DataPart(
        "pendingUpdates",
        "pending update",
        PendingMessageUpdate,
        _pending,
        (PendingMessageUpdate.kind, PendingMessageUpdate.received_at, PendingMessageUpdate.payload),
        frozenset({"id", "account_id", "mid_digest", "digest", "tries", "next_try_at"}),
    ),
    DEAD_LETTERS,
    PINS,
)
SINGLE = (CONVERSATION, IDENTITY, PICTURE)  # at most one row per contact
# Tables that hold nothing about a contact. Together with PARTS these are all tables: a test compares.
WITHOUT_CONTACTS = {
    "account_pictures": "the account's own picture",
    "accounts": "the account's own data",
    "alert_deliveries": "IDs, counts and sentences about accounts and jobs",
    "alert_receivers": "URLs and email addresses of the team",
    "alerts": "sentences of health checks, which name no contact",
    "api_tokens": "about API clients",
    "audit_log": "actions of users; contacts by row ID or pseudonym",
    "call_refusals": "one row per kind of call",
    "daily_arrivals": "totals",
    "deleted_events": "digests of deleted messages, without their contact",
    "ended_sessions": "about users",
    "findings": "health checks",
    "gaps": "periods and totals",
    "heartbeats": "about processes",
    "hourly_stats": "totals",
    "owner_requests": "about account owners",
    "run_plans": "totals",
    "runs": "jobs and their totals",
    "scheduler_duties": "about the scheduler",
    "schedules_off": "about accounts and users",
    "tombstones": "a digest of a deleted contact's ID, which keeps the data deleted",
    "unread_by_user": "what users have read",
    "users": "about users",
}
