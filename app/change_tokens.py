"""Change tokens: random values in Redis, used as ETags of polled parts. A token changes with what its part shows.

An account has a token for its list and one for all its threads; contacts share 1024 more, so that a message of one
contact leaves the thread of another unchanged. One token is for all accounts: it changes when a process may have ended
between a commit and its report. That is when a web server starts or sends no more heartbeats, or a task is killed.
"""

import logging
import os
import secrets
import threading
import zlib
from collections.abc import Iterable
from itertools import count

from app import clock, redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.05  # changes within it are reported together; pages poll every few seconds
ALIVE_SECONDS = 3  # a web server without a heartbeat for longer has ended
BEAT_SECONDS = 1.0
TOKEN_BYTES = 9  # random, not counted: a token never repeats, not even after Redis lost its data
EVERY_ACCOUNT = 0  # no account has this ID
NO_CONTACT = ""  # for a change that no thread shows
SLOTS = 1024  # tokens shared by the contacts of an account, which limits the number of keys

Change = int | tuple[int, str]  # an account with all its threads, or with the thread of one contact

_unreported: dict[str, int] = {}  # by key; the number distinguishes a later change from one that is being reported
_numbers = count(1)
_lock = threading.Lock()
_due: threading.Event | None = None

# Uses the clock of Redis, so that web servers on several hosts agree. Returns how many others have ended.
_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
"""


def mark_changed(changes: Iterable[Change]) -> None:
    """Change the tokens of these changes. If Redis is unavailable, the next report includes them."""
    _report(key for change in changes for key in _keys(change))


def _report(keys: Iterable[str]) -> None:
    _add(keys)
    if _due is None:
        _send()
    elif not _due.is_set():
        _due.set()


def mark_all_changed() -> None:
    """Change the tokens of all accounts: a process may have ended before it reported a change."""
    mark_changed([EVERY_ACCOUNT])


def start_reporting() -> None:
    """Report from a thread of this process from now on: deliveries do not wait for Redis, and share one command.

    For a long-running process. If it is killed, its next start and the other web servers, which watch each other's
    heartbeats, change the tokens of all accounts.
    """
    global _due
    _due = threading.Event()
    mark_all_changed()
    threading.Thread(target=_report_in_background, args=(_due,), name="change tokens", daemon=True).start()


def current(account_id: int, contact: str | None = None) -> str | None:
    """Return the change token of an account's list, or of a contact's thread.

    None if Redis is unavailable: then no part may count as unchanged.
    """
    own = (_list(account_id),) if contact is None else (_threads(account_id), _thread(account_id, contact))
    keys = (_list(EVERY_ACCOUNT), *own)
    try:
        if _unreported:
            _send()
        tokens = redis_client.client().get_many(keys)
        if None in tokens and not _unreported:
            _report(key for key, token in zip(keys, tokens, strict=True) if token is None)
            tokens = redis_client.client().get_many(keys)
    except RedisUnavailable:
        return None
    known = [token.decode(errors="replace") for token in tokens if token is not None]
    return ".".join(known) if len(known) == len(tokens) and not _unreported else None


def _report_in_background(due: threading.Event) -> None:
    me, last_beat = f"{os.getpid()}.{secrets.token_urlsafe(TOKEN_BYTES)}", -BEAT_SECONDS
    while True:
        if due.wait(BEAT_SECONDS):
            clock.sleep(BATCH_SECONDS)
            due.clear()
            _send()
        if clock.monotonic() - last_beat >= BEAT_SECONDS:
            last_beat = clock.monotonic()
            beat(me)


def beat(me: str) -> None:
    """Report that this web server runs; change every token if another one has ended."""
    try:
        ended = redis_client.client().eval(_BEAT, 1, "nametag:webs", me, ALIVE_SECONDS)
    except RedisUnavailable:
        return
    if ended:
        _add(_keys(EVERY_ACCOUNT))
        _send()


def _add(keys: Iterable[str]) -> None:
    with _lock:
        _unreported.update((key, next(_numbers)) for key in keys)


def _send() -> None:
    with _lock:
        unreported = dict(_unreported)
    if not unreported:
        return
    try:
        redis_client.client().mset({key: secrets.token_urlsafe(TOKEN_BYTES) for key in unreported})
    except RedisUnavailable:
        logger.warning("page updates delayed: can't reach Redis")
        return
    with _lock:
        for key, number in unreported.items():
            if _unreported.get(key) == number:  # otherwise it changed again in the meantime
                del _unreported[key]


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
