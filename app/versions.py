"""The poll token's heart: a word per account in Redis that changes whenever something visible changed."""

import logging
import secrets
import threading
from collections.abc import Iterable

from app import clock, redis_client
from app.redis_client import RedisAway

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.01  # what changes within it is told at once
WORD_BYTES = 9  # drawn, not counted: a version never comes back, not even after Redis was emptied

_owed: set[int] = set()
_lock = threading.Lock()
_due: threading.Event | None = None


def bump(account_ids: Iterable[int]) -> None:
    """Say that these accounts look different now; a bump that Redis cannot take is made up for by the next one."""
    with _lock:
        _owed.update(account_ids)
    if _due is None:
        _pay()
    else:
        _due.set()


def bump_behind() -> None:
    """Have a thread of this process tell Redis from now on, so that no delivery waits for it and many share one word.

    For a process that lives long: what is owed when it is killed is never told.
    """
    global _due
    _due = threading.Event()
    threading.Thread(target=_pay_behind, args=(_due,), name="versions", daemon=True).start()


def current(account_id: int) -> str | None:
    """Return the account's version, or None when Redis is away (then nothing may be called unchanged)."""
    try:
        if _owed:
            _pay()
        version = redis_client.client().get(_key(account_id))
        if version is None and not _owed:
            bump([account_id])
            version = redis_client.client().get(_key(account_id))
    except RedisAway:
        return None
    return version.decode(errors="replace") if isinstance(version, bytes) and not _owed else None


def _pay_behind(due: threading.Event) -> None:
    while due.wait():
        clock.sleep(TOGETHER_SECONDS)
        due.clear()
        _pay()


def _pay() -> None:
    with _lock:
        owed = list(_owed)
    if not owed:
        return
    try:
        redis_client.client().mset({_key(account_id): secrets.token_urlsafe(WORD_BYTES) for account_id in owed})
    except RedisAway:
        logger.warning("poll versions wait for Redis")
        return
    with _lock:
        _owed.difference_update(owed)


def _key(account_id: int) -> str:
    return f"nametag:version:{account_id}"
