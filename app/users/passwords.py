"""Passwords: rules for new ones, and Argon2id hashes, of which at most two are computed at a time."""

import secrets
import threading
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Invalid, Unavailable

BYTES = range(12, 1025)
DIFFERENT_CHARACTERS = 5
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1  # OWASP's minimum for Argon2id
AT_A_TIME = 2  # more would slow down all pages on a small machine
WAIT_SECONDS = 2.0
_LENGTH = "The password must have at least 12 characters and at most 1,024 bytes."

# The most common ones with at least twelve characters; case is ignored.
_COMMON = (
    "password1234 password12345 password123456 passwordpassword passw0rd1234 p@ssword1234 p@ssw0rd1234 "
    "123456789012 1234567890123 12345678910 1234567891011 123456789123 123456123456 123123123123 "
    "qwertyuiop12 qwertyuiop123 qwertyuiop[] qwerty123456 qwerty12345678 qwertyqwerty 1q2w3e4r5t6y 1qaz2wsx3edc "
    "administrator adminadmin12 administrator1 admin1234567 letmeinletmein welcome12345 welcome123456 "
    "iloveyou1234 iloveyouforever changeme1234 changemenow12 nametagnametag nametag12345 instagram123 "
    "abcdefghijkl abcdefghijklm abcd1234abcd abc123abc123 superman1234 football1234 baseball1234"
)
COMMON = frozenset(_COMMON.split())

_hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
_slots = threading.BoundedSemaphore(AT_A_TIME)


def require_good(password: str) -> None:
    """Raise Invalid unless `password` is acceptable: 12 to 1,024 bytes, not common, five different characters."""
    _require_at_most_1024_bytes(password)
    if len(_bytes(password)) not in BYTES:
        raise Invalid({"password": _LENGTH})
    if password.casefold() in COMMON or len(set(password)) < DIFFERENT_CHARACTERS:
        raise Invalid({"password": "This password is too easy to guess. Choose another one."})


def generate() -> str:
    """Return a new random password of 108 bits that is easy to copy."""
    return secrets.token_urlsafe(18)[:18]


def hash_password(password: str) -> str:
    """Return the hash to store; takes about 50 ms. Raises Unavailable after WAIT_SECONDS in the queue."""
    with _Slot():
        return _hasher.hash(_bytes(password))


def verify(password: str, password_hash: str | None) -> bool:
    """Return whether `password` matches `password_hash`. None, for an unknown user, takes as long and returns False.

    Raises Invalid for a password over 1,024 bytes, before hashing, and Unavailable after WAIT_SECONDS in the queue.
    """
    _require_at_most_1024_bytes(password)
    with _Slot():
        try:
            return _hasher.verify(password_hash or _hash_of_no_user(), _bytes(password)) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def _require_at_most_1024_bytes(password: str) -> None:
    if len(password) >= BYTES.stop or len(_bytes(password)) >= BYTES.stop:
        raise Invalid({"password": _LENGTH})


class _Slot:
    def __enter__(self) -> None:
        if not _slots.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("sign-in")

    def __exit__(self, *_: object) -> None:
        _slots.release()


@lru_cache(maxsize=1)
def _hash_of_no_user() -> str:
    return _hasher.hash(secrets.token_bytes(16))


def _bytes(password: str) -> bytes:
    # Keyboards write the same letter as one character or as two.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
