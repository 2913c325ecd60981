"""Passwords: which may be chosen, and their Argon2id hashes; at most two are computed at a time."""

import secrets
import threading
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Invalid, Unavailable

BYTES = range(12, 1025)  # reliability.md S21
DIFFERENT_CHARACTERS = 5
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1  # the least that reliability.md S21 asks for
AT_A_TIME = 2  # more would slow down every page on a small machine
WAIT_SECONDS = 2.0
_LENGTH = "The password should be 12 to 1,024 bytes long."

# The commonest ones of at least twelve characters; case does not matter.
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
_turns = threading.BoundedSemaphore(AT_A_TIME)


def require_good(password: str) -> None:
    """Raise Invalid unless `password` may be chosen: 12 to 1,024 bytes, not a common one, not one key held down."""
    _require_not_endless(password)
    if len(_bytes(password)) not in BYTES:
        raise Invalid({"password": _LENGTH})
    if password.casefold() in COMMON or len(set(password)) < DIFFERENT_CHARACTERS:
        raise Invalid({"password": "This password is too common; choose another one."})


def generate() -> str:
    """Return a new password that nobody can guess: 108 bits, easy to copy."""
    return secrets.token_urlsafe(18)[:18]


def hash_password(password: str) -> str:
    """Return the hash to store; takes some 50 ms. Raises Unavailable when too many wait already."""
    with _Turn():
        return _hasher.hash(_bytes(password))


def verify(password: str, password_hash: str | None) -> bool:
    """Return whether `password` belongs to `password_hash`; None means an unknown name and takes just as long.

    Raises Invalid for a password over 1,024 bytes, before any work, and Unavailable when too many wait already.
    """
    _require_not_endless(password)
    with _Turn():
        try:
            return _hasher.verify(password_hash or _nobodys(), _bytes(password)) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def _require_not_endless(password: str) -> None:
    if len(password) >= BYTES.stop or len(_bytes(password)) >= BYTES.stop:
        raise Invalid({"password": _LENGTH})


class _Turn:
    def __enter__(self) -> None:
        if not _turns.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("sign-in")

    def __exit__(self, *_: object) -> None:
        _turns.release()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher.hash(secrets.token_bytes(16))


def _bytes(password: str) -> bytes:
    # The same letter may be typed as one character or as two, depending on the keyboard.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
