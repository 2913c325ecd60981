"""Tables of identities: what we know of a participant, and every call made to learn it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    or_,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Digest, Id, IgId, UTCDateTime, Word


class Source(StrEnum):
    """Where a name was seen, cheapest first (product.md 2)."""

    REDIS = "redis"
    ROW = "row"
    CONVERSATIONS = "conversations"
    PROFILE = "profile"
    LEGACY = "legacy"


class Purpose(StrEnum):
    """Who asked for a call; live traffic may use the reserve, the others may not (product.md 3)."""

    LIVE = "live"
    BACKFILL = "backfill"
    REFRESH = "refresh"
    DAILY = "daily"
    ASKED = "asked"
    CHECK = "check"
    SYNC = "sync"
    ANNOUNCED = "announced"


class Identity(Model):
    """What we know of one participant of one account, and why something is missing.

    `look` is what their name looks like; `alike` is how many digits of the ID are shown behind it because others look
    the same, or it looks like ours; else 0.
    """

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("account_id", "ig_participant_id"),
        Index(
            "ix_identities_due",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
        Index(
            "ix_identities_look",
            "account_id",
            "look",
            sqlite_where=text("look IS NOT NULL"),
            postgresql_where=text("look IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_participant_id: Mapped[str] = mapped_column(IgId)
    username: Mapped[str | None] = mapped_column(String(80))
    username_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    username_source: Mapped[Source | None] = mapped_column(Word(Source))
    name: Mapped[str | None] = mapped_column(String(80))
    name_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    name_source: Mapped[Source | None] = mapped_column(Word(Source))
    picture_url: Mapped[str | None] = mapped_column(Text)
    picture_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    picture_source: Mapped[Source | None] = mapped_column(Word(Source))
    look: Mapped[str | None] = mapped_column(String(80))
    alike: Mapped[int] = mapped_column("alike_digits", SmallInteger, default=0, server_default=text("0"))
    picture_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    met_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_success_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failure_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_error: Mapped[str | None] = mapped_column(String(32))
    last_error_code: Mapped[str | None] = mapped_column(String(32))
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    next_purpose: Mapped[Purpose | None] = mapped_column(Word(Purpose))
    claimed_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    raw_answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    @hybrid_property
    def has_name(self) -> bool:
        """Whether a username or a name is stored; without, the contact is unknown. Also a condition in queries."""
        return self.username is not None or self.name is not None

    @has_name.inplace.expression
    @classmethod
    def _has_name(cls) -> ColumnElement[bool]:
        return or_(cls.username.is_not(None), cls.name.is_not(None))


class IdentityChange(Model):
    """A participant had another username before; both are kept as they were seen."""

    __tablename__ = "identity_changes"
    __table_args__ = (Index("ix_identity_changes_person", "account_id", "ig_participant_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_participant_id: Mapped[str] = mapped_column(IgId)
    old_username: Mapped[str] = mapped_column(String(80))
    new_username: Mapped[str] = mapped_column(String(80))
    source: Mapped[Source] = mapped_column(Word(Source))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Tombstone(Model):
    """A contact of an account was deleted at `at`. `person` is a digest of the contact's ID, which is not stored.

    `until` is the newest of Meta's times that the deletion covers: our clock may have been wrong.
    """

    __tablename__ = "tombstones"
    __table_args__ = (UniqueConstraint("account_id", "person"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    person: Mapped[bytes] = mapped_column(Digest)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class StoredAvatar(Model):
    """A person's small picture; without `content` where it could not be fetched when that was last tried."""

    __tablename__ = "avatars"
    __table_args__ = (UniqueConstraint("account_id", "ig_participant_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_participant_id: Mapped[str] = mapped_column(IgId)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    version: Mapped[str | None] = mapped_column(String(16))
    tried_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Lookup(Model):
    """One call to Meta, written before it is made: who, for whom, why, and what came back. The budget's truth."""

    __tablename__ = "lookups"
    __table_args__ = (Index("ix_lookups_account_at", "account_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    call: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[Purpose] = mapped_column(Word(Purpose))
    ig_participant_id: Mapped[str | None] = mapped_column(IgId)
    run_id: Mapped[str | None] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    http_status: Mapped[int | None]
    code: Mapped[str | None] = mapped_column(String(32))
    answer: Mapped[str | None] = mapped_column(String(200))
    took_ms: Mapped[int | None]


class CallRefusal(Model):
    """Meta refuses one kind of call of an account since `since`; probed at `retry_at`, over since `ended_at`.

    `wave` says that it is inferred from the same answer about many contacts.
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


class HourFigures(Model):
    """Snapshot of an account's hour that begins at `at`: contacts by how they were shown at its end, and traffic.

    `messages` counts the messages of contacts, `lookups` the profile calls that were made for them.
    """

    __tablename__ = "hour_figures"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    username: Mapped[int]
    name: Mapped[int]
    short_id: Mapped[int]
    messages: Mapped[int]
    lookups: Mapped[int]
