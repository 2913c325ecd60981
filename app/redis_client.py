"""The fail-fast Redis client, one per process; says once what "Redis is away" means."""

import os
from functools import lru_cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app import settings

CONNECT_SECONDS = 0.3
ANSWER_SECONDS = 0.5  # nothing waits longer for Redis than this (reliability.md M4, F6)

RedisAway = RedisError  # connection refused, timed out, loading, read-only, out of memory: all the same to callers


def client() -> Redis:
    """Return this process's client; a command that Redis does not answer raises RedisAway within half a second."""
    return _client(os.getpid(), settings.current().redis_address)


def waiting_client() -> Redis:
    """Return a client for a worker's blocking reads, which may wait long for an answer."""
    return Redis.from_url(settings.current().redis_address, socket_connect_timeout=CONNECT_SECONDS)


@lru_cache(maxsize=4)
def _client(_pid: int, url: str) -> Redis:
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=0,
    )
