"""Column types: aware UTC times, encrypted secrets, digests, members of enums."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from app import settings

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite generates IDs for INTEGER primary keys only
IgId = String(64)  # Meta's IDs are strings of digits, some above 2^53: docs/meta-platform.md#ids
DIGEST_BYTES = 16


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored and returned in UTC. Refuses naive times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("time must be aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the stored time, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SecretUnreadable(Exception):
    """A stored secret was encrypted with a key that is no longer in TOKEN_ENCRYPTION_KEYS."""


class Secret:
    """A stored credential: encrypted in memory too, decrypted only by `reveal()`."""

    __slots__ = ("encrypted",)

    def __init__(self, encrypted: str) -> None:
        self.encrypted = encrypted

    @classmethod
    def hide(cls, plain: str) -> "Secret":
        """Return `plain` encrypted with the first key of TOKEN_ENCRYPTION_KEYS."""
        return cls(_keys().encrypt(plain.encode()).decode())

    def reveal(self) -> str:
        """Return the decrypted credential. Raises SecretUnreadable if no configured key decrypts it."""
        try:
            return _keys().decrypt(self.encrypted).decode()
        except InvalidToken:
            raise SecretUnreadable("no configured key decrypts the stored token") from None

    def renewed(self) -> "Secret":
        """Return the credential encrypted with the first key; raises SecretUnreadable when no configured key fits."""
        return Secret.hide(self.reveal())

    def __repr__(self) -> str:
        return "Secret(…)"


class SecretText(TypeDecorator[Secret]):
    """Stores a Secret as its encrypted text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Secret | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the encrypted text."""
        return None if value is None else value.encrypted

    def process_result_value(self, value: str | None, dialect: Dialect) -> Secret | None:  # noqa: ARG002 - as above
        """Return the stored secret, still encrypted."""
        return None if value is None else Secret(value)


Digest = LargeBinary(DIGEST_BYTES)


def digest(text: str) -> bytes:
    """Return 16 bytes that represent a long ID in a unique key, which a shorter index makes faster."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


class EnumText(TypeDecorator[StrEnum]):
    """Stores a member of an enum as text, without a constraint in the database.

    Not sa.Enum: it raises LookupError for a stored value that the enum lacks. After a rollback, rows hold values that
    only the newer release knows. They must stay readable, and pages show them as "Other".
    """

    impl = String(32)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the value as text; raises ValueError for one that the enum lacks."""
        return None if value is None else str(self.members(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - as above
        """Return the stored member, or a stand-in for a value that only a newer release knows."""
        return None if value is None else member(self.members, value)


Members = TypeVar("Members", bound=StrEnum)


def member(members: type[Members], value: str) -> Members:
    """Return the member of `members` with this value, or a stand-in for a value that only a newer release knows.

    A stand-in has the type of a member, equals its own value and no member, and is not in `members`.
    """
    try:
        return members(value)
    except ValueError:
        unknown = str.__new__(members, value)
        unknown._name_, unknown._value_ = "OTHER", value
        return unknown


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.current().token_encryption_keys])
