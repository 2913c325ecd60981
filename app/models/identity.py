"""Tables of identities: what is stored about the contacts of an account."""

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
    case,
    func,
    or_,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, UTCDateTime
from app.models.call import Purpose
from app.models.contact import ContactKey

_NAMED = "(username IS NOT NULL OR name IS NOT NULL)"


class _Never(ColumnElement[Any]):
    """1970 in SQL. Not a parameter: databases use an index only for the very expression it is on."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(_Never, "sqlite")
def _never_on_sqlite(*_: Any, **__: Any) -> str:
    return "'1970-01-01 00:00:00.000000'"


@compiles(_Never, "postgresql")
def _never_on_postgresql(*_: Any, **__: Any) -> str:
    return "'1970-01-01 00:00:00+00'::timestamptz"


class Source(StrEnum):
    """Where a username, name or picture came from, cheapest source first."""

    REDIS = "redis"
    ROW = "row"
    CONVERSATIONS = "conversations"
    PROFILE = "profile"
    LEGACY = "legacy"


class Identity(ContactKey, Model):
    """What is stored about one contact of one account: names, their sources, failures and the next lookup.

    `skeleton` is the look-alike form of the shown name. `confusable_digits` is how many digits of the ID are shown
    behind the name, because another contact has the same skeleton or it resembles a reserved word; else 0.
    `terms` holds the words of username and name that search finds the contact by (app/search_words.py).
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
        Index("ix_identities_newest", "account_id", "id"),
        Index("ix_identities_username", "account_id", "username"),
        Index(
            "ix_identities_skeleton",
            "account_id",
            "skeleton",
            sqlite_where=text("skeleton IS NOT NULL"),
            postgresql_where=text("skeleton IS NOT NULL"),
        ),
        Index(
            "ix_identities_unindexed",
            "id",
            sqlite_where=text(f"terms IS NULL AND {_NAMED}"),
            postgresql_where=text(f"terms IS NULL AND {_NAMED}"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    ig_participant_id: Mapped[str] = mapped_column(IgId)
    username: Mapped[str | None] = mapped_column(String(80))
    username_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    username_source: Mapped[Source | None] = mapped_column(EnumText(Source))
    name: Mapped[str | None] = mapped_column(String(80))
    name_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    name_source: Mapped[Source | None] = mapped_column(EnumText(Source))
    picture_url: Mapped[str | None] = mapped_column(Text)
    picture_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    picture_source: Mapped[Source | None] = mapped_column(EnumText(Source))
    skeleton: Mapped[str | None] = mapped_column(String(80))
    confusable_digits: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    picture_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_success_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failure_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_error: Mapped[str | None] = mapped_column(String(32))
    last_error_code: Mapped[str | None] = mapped_column(String(32))
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    next_purpose: Mapped[Purpose | None] = mapped_column(EnumText(Purpose))
    claimed_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    raw_answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    terms: Mapped[str | None] = mapped_column(Text)

    @hybrid_property
    def has_name(self) -> bool:
        """Whether a username or a name is stored; without, the contact is unknown. Also a condition in queries."""
        return self.username is not None or self.name is not None

    @has_name.inplace.expression
    @classmethod
    def _has_name(cls) -> ColumnElement[bool]:
        return or_(cls.username.is_not(None), cls.name.is_not(None))


# When the name was last confirmed; 1970 if never, or if a lookup has failed since.
FRESH_FROM: ColumnElement[Any] = func.coalesce(
    case((Identity.last_error.is_(None), Identity.last_success_at)), _Never()
)


class UsernameHistory(Model):
    """A contact's username changed at `at` (aware UTC), as `source` reported it."""

    __tablename__ = "username_history"
    __table_args__ = (
        Index("ix_username_history_identity", "identity_id", "at"),
        Index("ix_username_history_old_username", "old_username"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"))
    old_username: Mapped[str] = mapped_column(String(80))
    new_username: Mapped[str] = mapped_column(String(80))
    source: Mapped[Source] = mapped_column(EnumText(Source))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class StoredAvatar(Model):
    """A contact's picture, 96 × 96 WebP. `content` is None if the last fetch, at `tried_at`, failed."""

    __tablename__ = "avatars"

    identity_id: Mapped[int] = mapped_column(
        ForeignKey("identities.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    version: Mapped[str | None] = mapped_column(String(16))
    tried_at: Mapped[datetime] = mapped_column(UTCDateTime)
