"""Redis client of a process, which fails fast. Defines RedisUnavailable."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

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

# An existing key with a longer or no TTL was not written by `take`: limit its TTL.
_TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
local left = redis.call('TTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[3]) then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 0
"""

# Connection refused, timeout, loading, read-only, out of memory: callers handle all of them alike.
RedisUnavailable = RedisError


class _Client(Redis):
    """Client that fails fast for a second after a timeout: a request with several commands waits only once."""

    _silent_until = 0.0

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        send: Callable[..., Any] = super().execute_command
        return self.call(lambda: send(*arguments, **options))

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of keys, None for one without. Raises RedisUnavailable.

        For polls: what `mget` does around the command takes several times as long as the command.
        """
        found: list[bytes | None] = self.call(lambda: self._exchange("MGET", *keys))
        return found

    def _exchange(self, *command: str) -> Any:
        connection: Any = self.connection_pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_command(*command))  # disconnects if it fails, as below
            return connection.read_response()
        finally:
            self.connection_pool.release(connection)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        pipeline = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.owner = self
        return pipeline

    def call(self, send: Callable[[], Any]) -> Any:
        if clock.monotonic() < self._silent_until:
            raise TimeoutError("Redis did not answer a moment ago")
        try:
            return send()
        except TimeoutError:
            self._silent_until = clock.monotonic() + SILENT_SECONDS
            raise
        except ResponseError as error:
            if _is_demoted(error):  # a new connection reaches the primary that took over
                self.connection_pool.disconnect(inuse_connections=False)
            raise


class _Pipeline(Pipeline):
    owner: _Client

    def execute(self, raise_on_error: bool = True) -> Any:
        send: Callable[..., Any] = super().execute
        return self.owner.call(lambda: send(raise_on_error))


def client() -> _Client:
    """Return the client of this process. Its commands raise RedisUnavailable."""
    return _client(os.getpid(), settings.current().redis_address)


def reset() -> None:
    """Drop this process's client, and with it the second in which a silent Redis is not tried again."""
    _client.cache_clear()


def take(key: str, value: str, *, seconds: int, most_seconds: int | None = None) -> bool:
    """Set a key for `seconds` unless it exists. Return whether it was set. Raises RedisUnavailable.

    A key that lives longer than `most_seconds`, which is `seconds` unless given, is shortened to that.
    """
    return bool(client().eval(_TAKE, 1, key, value, seconds, most_seconds or seconds))


def waiting_client() -> Redis:
    """Return a client for a worker's blocking reads, without a limit for answers."""
    return Redis.from_url(settings.current().redis_address, socket_connect_timeout=CONNECT_SECONDS)


def _is_demoted(error: ResponseError) -> bool:
    # Redis 6.2 reports it inside the error of a script, and a primary that lost its replicas says NOREPLICAS.
    return isinstance(error, (ReadOnlyError, MasterDownError)) or any(
        code in str(error) for code in ("READONLY", "NOREPLICAS")
    )


def rewrite_file() -> None:
    """Rewrite Redis' append-only file, if it has one, so that deleted data is not in it."""
    try:
        if client().info("persistence").get("aof_enabled"):
            client().bgrewriteaof()
    except RedisUnavailable as error:
        logger.warning("append-only file of Redis not rewritten", extra={"reason": type(error).__name__})


@lru_cache(maxsize=4)
def _client(_pid: int, url: str) -> _Client:
    made = _Client.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=0,
    )
    return cast("_Client", made)  # redis-py says that it is a Redis
