"""Tables of the inbox: conversations and their messages."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Digest, Id, IgId, UTCDateTime
from app.models.contact import ContactKey


class Conversation(ContactKey, Model):
    """All messages between an account and a contact; the `last_…` columns follow the messages' own times.

    Read and unread follow the order of arrival: `arrival_count` numbers the messages that counted as unread when they
    were stored, and any user or API token has read those up to `read_through`. `unread_count` is how many nobody has
    read, without unsent ones. What single users have not read is in `unread_by_user`.

    The reply columns follow the messages' own times, whatever the order of arrival: app/reply_state.py.
    `last_incoming_at` opened the 24-hour window; `needs_reply_since` is the contact's first message after both
    `last_outgoing_at` and `no_reply_needed_through`, None without one.
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
        Index(
            "ix_conversations_window",
            "account_id",
            "last_incoming_at",
            "id",
            sqlite_where=text("needs_reply_since IS NOT NULL"),
            postgresql_where=text("needs_reply_since IS NOT NULL"),
        ),
        Index(
            "ix_conversations_needs_reply",
            "account_id",
            "needs_reply_since",
            "id",
            sqlite_where=text("needs_reply_since IS NOT NULL"),
            postgresql_where=text("needs_reply_since IS NOT NULL"),
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
    last_message_automatic: Mapped[bool] = mapped_column(default=False, server_default=false())
    last_reaction: Mapped[str | None] = mapped_column(String(80))
    last_reaction_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    arrival_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    read_through: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    seen_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_incoming_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_outgoing_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    needs_reply_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    no_reply_needed_through: Mapped[datetime | None] = mapped_column(UTCDateTime)
    no_reply_needed_by: Mapped[str | None] = mapped_column(String(120))


class UnreadByUser(Model):
    """A conversation with messages that others have read and this user has not.

    The user has read the messages up to `read_through`. `unread_count` is how many of the later ones others have read,
    without unsent ones; "Mark as unread" counts as one more. Without a row, the user has read what the team has read.
    """

    __tablename__ = "unread_by_user"
    __table_args__ = (Index("ix_unread_by_user_account", "account_id", "user_id"),)

    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    read_through: Mapped[int]
    unread_count: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class Message(Model):
    """One message of a conversation; IDs alone decide `outgoing`: docs/meta-platform.md#ids.

    `arrival` is its number in the conversation's `arrival_count`, None for what never counted as unread: the account's
    own messages, and history that was synced when the account was connected.
    `terms` holds what search finds it by (app/search_words.py), None until it is indexed.
    `context` keeps what the message refers to (a story, another message, an ad) as Meta sent it; `reactions` holds
    for each sender the newest reaction with its time, a taken-back one as null. `app_id` is the app that sent an echo;
    `standby`: another app controlled the conversation. `from_sync`: only the conversation sync brought it, no webhook.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("account_id", "mid_digest"),
        Index("ix_messages_thread", "conversation_id", "sent_at", "id"),
        Index(
            "ix_messages_unindexed",
            "id",
            sqlite_where=text("terms IS NULL"),
            postgresql_where=text("terms IS NULL"),
        ),
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
    app_id: Mapped[str | None] = mapped_column(IgId)
    standby: Mapped[bool] = mapped_column(default=False, server_default=false())
    from_sync: Mapped[bool] = mapped_column(default=False, server_default=false())
    terms: Mapped[str | None] = mapped_column(Text)
