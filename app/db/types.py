"""Column types: aware UTC times, secrets that stay encrypted, digests, members of enums."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from app import settings

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER primary keys
IgId = String(64)  # Meta's ids are strings of digits; some are above 2^53 (instagram-platform.md 2)
DIGEST_BYTES = 16


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC and read back in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC; raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times are stored aware, in UTC")
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
    """A credential at rest: carried about encrypted, decrypted only by `reveal()`."""

    __slots__ = ("encrypted",)

    def __init__(self, encrypted: str) -> None:
        self.encrypted = encrypted

    @classmethod
    def hide(cls, plain: str) -> "Secret":
        """Return `plain` encrypted with the first key of TOKEN_ENCRYPTION_KEYS."""
        return cls(_keys().encrypt(plain.encode()).decode())

    def reveal(self) -> str:
        """Return the credential in plain; raises SecretUnreadable when no configured key fits."""
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
    """Return the 16 bytes that stand for a long id in a unique key (performance.md 6)."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


class Word(TypeDecorator[StrEnum]):
    """A word from a fixed list, stored as text so that a new word needs no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the word as text; raises ValueError for one that is not in the list."""
        return None if value is None else str(self.words(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - as above
        """Return the stored member, a stand-in for one that only a newer release knows."""
        return None if value is None else member(self.words, value)


Words = TypeVar("Words", bound=StrEnum)


def member(words: type[Words], value: str) -> Words:
    """Return the member of `words` with this value, or a stand-in for a value that only a newer release knows.

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
