"""Tables of calls to Meta: the call log and refusals."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, UTCDateTime
from app.models.contact import ContactKey


class Purpose(StrEnum):
    """What a call is made for. LIVE and ASKED may use the reserve of the API call budget."""

    LIVE = "live"
    BACKFILL = "backfill"
    REFRESH = "refresh"
    DAILY = "daily"
    ASKED = "asked"
    CHECK = "check"
    SYNC = "sync"
    ANNOUNCED = "announced"


# Without parameters: databases use the index only for the very same expression.
WITHOUT_USERNAME = text("(api_calls.code IS NOT NULL OR api_calls.answer LIKE 'name%')")
READS_CONVERSATIONS = text("api_calls.call = 'conversations'")
_READS_CONVERSATIONS = text("call = 'conversations'")
_OF_CONTACT = text("ig_participant_id IS NOT NULL")
_WITHOUT_USERNAME = text("code IS NOT NULL OR answer LIKE 'name%'")


class ApiCall(ContactKey, Model):
    """One call to Meta, written before it is made and completed by its answer. The budget counts these rows."""

    __tablename__ = "api_calls"
    __table_args__ = (
        Index("ix_api_calls_account_at", "account_id", "at"),
        Index(
            "ix_api_calls_conversations",
            "account_id",
            "at",
            sqlite_where=_READS_CONVERSATIONS,
            postgresql_where=_READS_CONVERSATIONS,
        ),
        Index(
            "ix_api_calls_contact",
            "account_id",
            "ig_participant_id",
            "at",
            sqlite_where=_OF_CONTACT,
            postgresql_where=_OF_CONTACT,
        ),
        Index(
            "ix_api_calls_without_username",
            "account_id",
            "call",
            "at",
            "code",
            sqlite_where=_WITHOUT_USERNAME,
            postgresql_where=_WITHOUT_USERNAME,
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    call: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[Purpose] = mapped_column(EnumText(Purpose))
    ig_participant_id: Mapped[str | None] = mapped_column(IgId)
    run_id: Mapped[str | None] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    http_status: Mapped[int | None]
    code: Mapped[str | None] = mapped_column(String(32))
    answer: Mapped[str | None] = mapped_column(String(200))
    took_ms: Mapped[int | None]


class CallRefusal(Model):
    """Meta refuses one kind of call of an account, from `since` to `ended_at`. One call tries at `retry_at`.

    `wave` says that the refusal is inferred from the same error for many contacts.
    """

    __tablename__ = "call_refusals"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    call: Mapped[str] = mapped_column(String(16), primary_key=True)
    code: Mapped[str] = mapped_column(String(32))
    sentence: Mapped[str] = mapped_column(Text)
    wave: Mapped[bool]
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    retry_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
