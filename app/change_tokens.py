"""Versions of what polls show: words in Redis that change whenever something visible changed.

An account has a word for its list and one for all its threads; contacts share 1024 more, so that a message of one
contact leaves the open thread of another unchanged. One more word belongs to all accounts. It changes when a process
ends that may have committed something without reporting it: when a web server starts, when one is no longer heard of,
when a worker's job is killed.
"""

import logging
import os
import secrets
import threading
import zlib
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from app import clock, redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 0.01  # what changes within it is told at once
ALIVE_SECONDS = 3  # a web server that was not heard of for longer has ended
BEAT_SECONDS = 1.0
WORD_BYTES = 9  # drawn, not counted: a version never comes back, not even after Redis was emptied
EVERY_ACCOUNT = 0  # no account has this id
NO_CONTACT = ""  # of a change that no thread shows
SLOTS = 1024  # per account: contacts in the same one cost each other a rendering, and the number of keys is limited

Change = int | tuple[int, str]  # an account with all its threads, or with the thread of one contact alone

_owed: dict[str, int] = {}  # by key, with a number that tells a later change from one that is being reported
_numbers = count(1)
_lock = threading.Lock()
_due: threading.Event | None = None

# By Redis' own clock, which is the same for the web servers of all hosts. Returns how many others have ended.
_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
"""


def mark_changed(changes: Iterable[Change]) -> None:
    """Report that these look different now; a report that Redis cannot take is made up for by the next one."""
    _report(key for change in changes for key in _keys(change))


def _report(keys: Iterable[str]) -> None:
    _owe(keys)
    if _due is None:
        _pay()
    else:
        _due.set()


def mark_all_changed() -> None:
    """Report that every account may look different: a process ended before it could report which."""
    mark_changed([EVERY_ACCOUNT])


def start_reporting() -> None:
    """Have a thread of this process report to Redis from now on: no delivery waits for it, and many share one word.

    For a process that lives long. What it owes when it is killed is made up for when it starts again, and before that
    by the other web servers, which watch for each other's end.
    """
    global _due
    _due = threading.Event()
    mark_all_changed()
    threading.Thread(target=_pay_behind, args=(_due,), name="versions", daemon=True).start()


def current(account_id: int, contact: str | None = None) -> str | None:
    """Return the version of an account's list, or of a contact's thread; None when Redis is unavailable.

    Without a version nothing may be called unchanged.
    """
    own = (_list(account_id),) if contact is None else (_threads(account_id), _thread(account_id, contact))
    keys = (_list(EVERY_ACCOUNT), *own)
    try:
        if _owed:
            _pay()
        words = _words(keys)
        if None in words and not _owed:
            _report(key for key, word in zip(keys, words, strict=True) if word is None)
            words = _words(keys)
    except RedisUnavailable:
        return None
    known = [word.decode(errors="replace") for word in words if isinstance(word, bytes)]
    return ".".join(known) if len(known) == len(words) and not _owed else None


def _words(keys: Sequence[str]) -> list[Any]:
    return list(redis_client.client().mget(keys))


def _pay_behind(due: threading.Event) -> None:
    me, beaten_at = f"{os.getpid()}.{secrets.token_urlsafe(WORD_BYTES)}", -BEAT_SECONDS
    while True:
        if due.wait(BEAT_SECONDS):
            clock.sleep(TOGETHER_SECONDS)
            due.clear()
            _pay()
        if clock.monotonic() - beaten_at >= BEAT_SECONDS:
            beaten_at = clock.monotonic()
            beat(me)


def beat(me: str) -> None:
    """Report that this web server runs; change every token if another one has ended."""
    try:
        ended = redis_client.client().eval(_BEAT, 1, "nametag:webs", me, ALIVE_SECONDS)
    except RedisUnavailable:
        return
    if ended:
        _owe(_keys(EVERY_ACCOUNT))
        _pay()


def _owe(keys: Iterable[str]) -> None:
    with _lock:
        _owed.update((key, next(_numbers)) for key in keys)


def _pay() -> None:
    with _lock:
        owed = dict(_owed)
    if not owed:
        return
    try:
        redis_client.client().mset({key: secrets.token_urlsafe(WORD_BYTES) for key in owed})
    except RedisUnavailable:
        logger.warning("poll versions wait for Redis")
        return
    with _lock:
        for key, number in owed.items():
            if _owed.get(key) == number:  # else it changed again meanwhile
                del _owed[key]


def _keys(change: Change) -> tuple[str, ...]:
    if isinstance(change, int):
        return (_list(change), _threads(change)) if change != EVERY_ACCOUNT else (_list(change),)
    account_id, contact = change
    return (_list(account_id),) if contact == NO_CONTACT else (_list(account_id), _thread(account_id, contact))


def _list(account_id: int) -> str:
    return f"nametag:version:{account_id}"


def _threads(account_id: int) -> str:
    return f"nametag:version:{account_id}:threads"


def _thread(account_id: int, contact: str) -> str:
    return f"nametag:version:{account_id}:{zlib.crc32(contact.encode()) % SLOTS}"
