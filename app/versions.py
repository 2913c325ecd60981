"""The poll token's heart: a counter per account in Redis that moves whenever something visible changed."""

import logging
import threading
from collections.abc import Iterable

from app import redis_client
from app.redis_client import RedisAway

logger = logging.getLogger(__name__)

# A counter lost with Redis starts again from the clock, so that it never repeats a value a browser still holds.
_BUMP = """
local t = redis.call('TIME')
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 0 then redis.call('SET', key, t[1] .. string.format('%06d', t[2])) end
  redis.call('INCR', key)
end
"""
_owed: set[int] = set()
_lock = threading.Lock()


def bump(account_ids: Iterable[int]) -> None:
    """Say that these accounts look different now; a bump that Redis cannot take is made up for by the next one."""
    with _lock:
        _owed.update(account_ids)
    _pay()


def current(account_id: int) -> int | None:
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
    return int(version) if version is not None and not _owed else None


def _pay() -> None:
    with _lock:
        owed = sorted(_owed)
    if not owed:
        return
    try:
        redis_client.client().eval(_BUMP, len(owed), *(_key(account_id) for account_id in owed))
    except RedisAway:
        logger.warning("poll versions wait for Redis")
        return
    with _lock:
        _owed.difference_update(owed)


def _key(account_id: int) -> str:
    return f"nametag:version:{account_id}"
