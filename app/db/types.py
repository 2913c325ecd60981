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

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite generates IDs only for INTEGER primary keys
IgId = String(64)  # digits, some above 2^53 (docs/meta-platform.md#ids)
DIGEST_BYTES = 16


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored and returned in UTC. Naive times are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time must be aware")
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
    """A stored credential: encrypted in memory, decrypted only by `reveal()`."""

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
            raise SecretUnreadable("the stored token cannot be read with the configured keys") from None

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
    """Return a 16-byte digest of a long ID, for short unique keys."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


class EnumText(TypeDecorator[StrEnum]):
    """A member of an enum, stored as text so that a new member needs no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the value as text. Raises ValueError for a value that is not a member."""
        return None if value is None else str(self.words(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - as above
        """Return the stored member, a stand-in for a value that a newer release stored."""
        return None if value is None else member(self.words, value)


Words = TypeVar("Words", bound=StrEnum)


def member(words: type[Words], value: str) -> Words:
    """Return the member of `words` with this value, or a stand-in for a value that a newer release stored.

    A stand-in has the type of a member, equals its own value and no member, and is not in `words`.
    """
    try:
        return words(value)
    except ValueError:
        unknown = str.__new__(words, value)
        unknown._name_, unknown._value_ = "OTHER", value
        return unknown


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.current().token_encryption_keys])
