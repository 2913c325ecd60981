"""The fail-fast Redis client, one per process; the one definition of "Redis is unavailable"."""

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from app import clock, settings

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 1.0  # for TCP with another region; a frozen server still accepts connections
ANSWER_SECONDS = 0.5  # for one command or a TLS handshake; `?socket_timeout=` in REDIS_URL raises it
SILENT_SECONDS = 1.0

# A key that is there already and would live longer was not written by `take`: it gets the life it would have had.
_TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
local left = redis.call('TTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[2]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 0
"""

RedisUnavailable = (
    RedisError  # connection refused, timed out, loading, read-only, out of memory: all the same to callers
)


class _Client(Redis):
    """Where one command waited in vain, the next ones fail at once for a second: a request makes several of them."""

    _silent_until = 0.0

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        ask: Callable[..., Any] = super().execute_command
        return self.heard(lambda: ask(*arguments, **options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        made = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.asker = self
        return made

    def heard(self, ask: Callable[[], Any]) -> Any:
        if clock.monotonic() < self._silent_until:
            raise TimeoutError("Redis did not answer a moment ago")
        try:
            return ask()
        except TimeoutError:
            self._silent_until = clock.monotonic() + SILENT_SECONDS
            raise
        except ResponseError as error:
            if _is_demoted(error):  # a new connection reaches the primary that took over
                self.connection_pool.disconnect(inuse_connections=False)
            raise


class _Pipeline(Pipeline):
    asker: _Client

    def execute(self, raise_on_error: bool = True) -> Any:
        ask: Callable[..., Any] = super().execute
        return self.asker.heard(lambda: ask(raise_on_error))


def client() -> Redis:
    """Return this process's client; a command that Redis does not answer raises RedisUnavailable."""
    return _client(os.getpid(), settings.current().redis_address)


def reset() -> None:
    """Drop this process's client, and with it the second in which a silent Redis is not asked."""
    _client.cache_clear()


def take(key: str, value: str, *, seconds: int) -> bool:
    """Set a key for `seconds` unless it is set; return whether it was not. Raises RedisUnavailable."""
    return bool(client().eval(_TAKE, 1, key, value, seconds))


def waiting_client() -> Redis:
    """Return a client for a worker's blocking reads, which may wait long for an answer."""
    return Redis.from_url(settings.current().redis_address, socket_connect_timeout=CONNECT_SECONDS)


def _is_demoted(error: ResponseError) -> bool:
    # Redis 6.2 reports it inside the error of a script, and a primary that lost its replicas says NOREPLICAS.
    return isinstance(error, (ReadOnlyError, MasterDownError)) or any(
        code in str(error) for code in ("READONLY", "NOREPLICAS")
    )


def rewrite_file() -> None:
    """Have Redis write its append-only file again, without what was deleted, where it keeps one and allows it."""
    try:
        if client().info("persistence").get("aof_enabled"):
            client().bgrewriteaof()
    except RedisUnavailable as error:
        logger.warning("Redis' append-only file could not be rewritten", extra={"reason": type(error).__name__})


@lru_cache(maxsize=4)
def _client(_pid: int, url: str) -> Redis:
    return _Client.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=0,
    )
