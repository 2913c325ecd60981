"""A Redis that stops answering in the middle of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError


@contextmanager
def redis_failing_after(step: int, error: type[RedisError] = RedisConnectionError) -> Iterator[list[int]]:
    """Let Redis answer `step` commands and then none; the list holds the number of commands sent."""
    given = [0]
    execute: Any = Redis.execute_command
    execute_all: Any = Pipeline.execute

    def one(self: Any, *arguments: Any, **options: Any) -> Any:
        given[0] += 1
        if given[0] > step:
            raise error("unavailable")
        return execute(self, *arguments, **options)

    def all_(self: Any, *arguments: Any, **options: Any) -> Any:
        given[0] += 1
        if given[0] > step:
            raise error("unavailable")
        return execute_all(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Redis, "execute_command", one)
        patch.setattr(Pipeline, "execute", all_)
        yield given
