"""The poll token's heart: a word per account in Redis that changes whenever something visible changed.

One more word belongs to all accounts. It changes when a process ends that may have committed something without
reporting it: when a web server starts, when one is no longer heard of, when a worker's job is killed.
"""

import logging
import os
import secrets
import threading
from collections.abc import Iterable
from itertools import count
from typing import Any

from app import clock, redis_client
from app.redis_client import RedisAway

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.01  # what changes within it is told at once
ALIVE_SECONDS = 3  # a web server that was not heard of for longer has ended
BEAT_SECONDS = 1.0
WORD_BYTES = 9  # drawn, not counted: a version never comes back, not even after Redis was emptied
EVERY_ACCOUNT = 0  # no account has this id

_owed: dict[int, int] = {}  # by account, with a number that tells a later change from one that is being reported
_numbers = count(1)
_lock = threading.Lock()
_due: threading.Event | None = None

# By Redis' own clock, which is the same for the web servers of all hosts. Returns how many others have ended.
_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
"""


def bump(account_ids: Iterable[int]) -> None:
    """Say that these accounts look different now; a bump that Redis cannot take is made up for by the next one."""
    _owe(account_ids)
    if _due is None:
        _pay()
    else:
        _due.set()


def bump_all() -> None:
    """Say that every account may look different: a process has ended before it could say which."""
    bump([EVERY_ACCOUNT])


def bump_behind() -> None:
    """Have a thread of this process tell Redis from now on, so that no delivery waits for it and many share one word.

    For a process that lives long. What it owes when it is killed is made up for when it starts again, and before that
    by the other web servers, which watch for each other's end.
    """
    global _due
    _due = threading.Event()
    bump_all()
    threading.Thread(target=_pay_behind, args=(_due,), name="versions", daemon=True).start()


def current(account_id: int) -> str | None:
    """Return the account's version, or None when Redis is away (then nothing may be called unchanged)."""
    try:
        if _owed:
            _pay()
        words = _words(account_id)
        if None in words and not _owed:
            bump(owner for owner, word in zip((EVERY_ACCOUNT, account_id), words, strict=True) if word is None)
            words = _words(account_id)
    except RedisAway:
        return None
    known = [word.decode(errors="replace") for word in words if isinstance(word, bytes)]
    return ".".join(known) if len(known) == len(words) and not _owed else None


def _words(account_id: int) -> list[Any]:
    return list(redis_client.client().mget(_key(EVERY_ACCOUNT), _key(account_id)))


def _pay_behind(due: threading.Event) -> None:
    me, beaten_at = f"{os.getpid()}.{secrets.token_urlsafe(WORD_BYTES)}", -BEAT_SECONDS
    while True:
        if due.wait(BEAT_SECONDS):
            clock.sleep(TOGETHER_SECONDS)
            due.clear()
            _pay()
        if clock.monotonic() - beaten_at >= BEAT_SECONDS:
            beaten_at = clock.monotonic()
            _beat(me)


def _beat(me: str) -> None:
    try:
        ended = redis_client.client().eval(_BEAT, 1, "nametag:webs", me, ALIVE_SECONDS)
    except RedisAway:
        return
    if ended:
        _owe([EVERY_ACCOUNT])
        _pay()


def _owe(account_ids: Iterable[int]) -> None:
    with _lock:
        _owed.update((account_id, next(_numbers)) for account_id in account_ids)


def _pay() -> None:
    with _lock:
        owed = dict(_owed)
    if not owed:
        return
    try:
        redis_client.client().mset({_key(account_id): secrets.token_urlsafe(WORD_BYTES) for account_id in owed})
    except RedisAway:
        logger.warning("poll versions wait for Redis")
        return
    with _lock:
        for account_id, number in owed.items():
            if _owed.get(account_id) == number:  # else it changed again meanwhile
                del _owed[account_id]


def _key(account_id: int) -> str:
    return f"nametag:version:{account_id}"
