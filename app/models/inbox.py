"""Tables of the inbox: accounts, conversations, messages and what could not be placed."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Digest, Id, IgId, Secret, SecretText, UTCDateTime, Word


class Login(StrEnum):
    """How an account was connected; decides the host that reads its token (instagram-platform.md 1)."""

    INSTAGRAM = "instagram"
    FACEBOOK = "facebook"
    UNIFIED = "unified"


class AccountState(StrEnum):
    """Whether the account's token may be used."""

    CONNECTED = "connected"
    RECONNECT = "reconnect"
    DELETING = "deleting"


class Account(Model):
    """A connected professional account; `ig_account_id` is the webhook's entry.id, the key people and programs type.

    `token_at` is when its token came, `token_tried_at` and `token_problem` tell of the last try to refresh it.
    `owner_id` is the app-scoped ID of the user who authorized the token (Facebook and Unified Login).
    `refused_subscriptions` are the webhook fields that Meta refuses, each with Meta's words; `subscription_problem` is
    set, to Meta's words, while no messages are delivered.
    `synced` is the result of the last conversation sync: counts, IDs of skipped elements, and why it ended early.
    """

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    ig_account_id: Mapped[str] = mapped_column(IgId, unique=True)
    username: Mapped[str | None] = mapped_column(String(64))
    login: Mapped[Login] = mapped_column(Word(Login))
    location_id: Mapped[str | None] = mapped_column(String(64))
    ig_page_id: Mapped[str | None] = mapped_column(IgId)
    ig_app_scoped_id: Mapped[str | None] = mapped_column(IgId)
    own_ids: Mapped[list[str]] = mapped_column(JSON, default=list)
    owner_id: Mapped[str | None] = mapped_column(IgId)
    token: Mapped[Secret | None] = mapped_column(SecretText)
    token_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_problem: Mapped[str | None] = mapped_column(Text)
    permissions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[AccountState] = mapped_column(Word(AccountState), default=AccountState.CONNECTED)
    state_reason: Mapped[str | None] = mapped_column(Text)
    connected_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_webhook_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    subscription_checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    missing_subscriptions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    refused_subscriptions: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    subscription_problem: Mapped[str | None] = mapped_column(Text)
    passed_events: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    synced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    synced: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


ALL_IDS = (Account.ig_account_id, Account.ig_app_scoped_id, Account.ig_page_id, Account.own_ids)


def all_ids(account: Any) -> frozenset[str]:
    """Return every ID under which Meta names an account itself; `account` is a row with the columns ALL_IDS."""
    known = (account.ig_account_id, account.ig_app_scoped_id, account.ig_page_id)
    return frozenset((*filter(None, known), *account.own_ids))


class Conversation(Model):
    """Everything between one account and one participant; its last_… columns follow the events' own times.

    Read and unread follow the arrival: `arrival_count` numbers the messages that counted as unread when they were
    stored, and those up to `read_through` were read. `unread_count` is how many were not, without unsent ones; "Mark
    as unread" adds one to it.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("account_id", "ig_participant_id"),
        Index("ix_conversations_newest", "account_id", "last_message_at", "id"),
        Index(
            "ix_conversations_unread",
            "account_id",
            "last_message_at",
            "id",
            sqlite_where=text("unread_count > 0"),
            postgresql_where=text("unread_count > 0"),
        ),
        Index(
            "ix_conversations_unknown",
            "account_id",
            "last_message_at",
            "id",
            sqlite_where=text("known = 0"),
            postgresql_where=text("NOT known"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_participant_id: Mapped[str] = mapped_column(IgId)
    status: Mapped[str] = mapped_column(String(16), default="open", server_default="open")
    known: Mapped[bool] = mapped_column(default=False, server_default=false())
    unread_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    first_message_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_message_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_message_mid: Mapped[str] = mapped_column(Text)
    last_message_kind: Mapped[str] = mapped_column(String(32))
    last_message_preview: Mapped[str | None] = mapped_column(String(160))
    last_message_outgoing: Mapped[bool]
    last_reaction: Mapped[str | None] = mapped_column(String(80))
    last_reaction_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    arrival_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    read_through: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    seen_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Message(Model):
    """One message of a conversation; `outgoing` is decided by ids alone (instagram-platform.md 2).

    `arrival` is its number in the conversation's `arrival_count`, None for what never counted as unread: the account's
    own messages, and history that was synced when the account was connected.
    `context` keeps what the message refers to (a story, another message, an ad) as Meta sent it; `reactions` holds
    for each sender the newest reaction with its time, a taken-back one as null.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("account_id", "mid_digest"),
        Index("ix_messages_thread", "conversation_id", "sent_at", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    mid_digest: Mapped[bytes] = mapped_column(Digest)
    mid: Mapped[str] = mapped_column(Text)
    ig_sender_id: Mapped[str] = mapped_column(IgId)
    outgoing: Mapped[bool]
    arrival: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(32))
    text: Mapped[str | None] = mapped_column(Text)
    attachments: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    context: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    sent_at: Mapped[datetime] = mapped_column(UTCDateTime)
    edit_number: Mapped[int | None]
    edited_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reactions: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class PendingMessageUpdate(Model):
    """Something that happened to a message before the message itself arrived.

    Of an announced message, `tries` counts the syncs that did not find it, and `next_try_at` is None after the last.
    """

    __tablename__ = "waiting_effects"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_waiting_effects_message", "account_id", "mid_digest"),
        Index("ix_waiting_effects_received_at", "received_at"),
        Index(
            "ix_waiting_effects_due",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    mid_digest: Mapped[bytes] = mapped_column(Digest)
    kind: Mapped[str] = mapped_column(String(32))
    effect: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[bytes] = mapped_column(Digest)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DeadLetter(Model):
    """Something Meta sent that could not be placed, kept whole so that it can be replayed."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_dead_letters_received_at", "received_at"),
        Index("ix_dead_letters_message", "mid_digest"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_account_id: Mapped[str | None] = mapped_column(IgId)
    mid_digest: Mapped[bytes | None] = mapped_column(Digest)
    reason: Mapped[str] = mapped_column(String(32))
    explanation: Mapped[str] = mapped_column(Text)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(Digest)
    times: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)


class DeletedEvent(Model):
    """A digest of a message or dead letter that was deleted with its contact: delivered again, it stays deleted."""

    __tablename__ = "deleted_events"
    __table_args__ = (UniqueConstraint("digest", "account_id"), Index("ix_deleted_events_at", "at"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(Digest)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class RequestKind(StrEnum):
    """What an account owner requests through Meta."""

    DELETION = "deletion"
    DEAUTHORIZATION = "deauthorization"


class Outcome(StrEnum):
    """How the request of an account owner ended."""

    DONE = "done"
    NOTHING_FOUND = "nothing_found"


class Deletion(Model):
    """A request of an account owner that Meta passed on: delete my data, or withdraw the app's access.

    `account_id` is the matching account while its deletion runs. Open requests match no account and keep the owner's
    app-scoped `user_id`, until it becomes known or an admin closes them; a finished one names no one.
    """

    __tablename__ = "deletions"
    __table_args__ = (UniqueConstraint("digest"),)

    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[bytes] = mapped_column(Digest)
    kind: Mapped[RequestKind] = mapped_column(
        Word(RequestKind), default=RequestKind.DELETION, server_default=RequestKind.DELETION.value
    )
    user_id: Mapped[str | None] = mapped_column(IgId)
    account_id: Mapped[int | None] = mapped_column(Id)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[Outcome | None] = mapped_column(Word(Outcome))
