"""Tables of events that wait for their message, or could not be processed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Digest, Id, IgId, UTCDateTime


class PendingMessageUpdate(Model):
    """An edit, unsend, reaction or seen event that arrived before its message; `payload` has its fields.

    Of an announced message, `tries` counts the syncs that did not find it, and `next_try_at` is None after the last.
    """

    __tablename__ = "pending_message_updates"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_pending_message_updates_message", "account_id", "mid_digest"),
        Index("ix_pending_message_updates_received_at", "received_at"),
        Index(
            "ix_pending_message_updates_due",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    mid_digest: Mapped[bytes] = mapped_column(Digest)
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[bytes] = mapped_column(Digest)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DeadLetter(Model):
    """An event that could not be processed, stored whole so that it can be replayed."""

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
