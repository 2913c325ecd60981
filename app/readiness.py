"""Readiness of this process: whether its database and its Redis can be used. Answers within one second."""

import logging
import os
import threading
from collections.abc import Callable

from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import Engine

from app import clock, redis_checks, redis_client, settings
from app.db import migrate
from app.db.engine import db
from app.db.migrate import SchemaState

logger = logging.getLogger(__name__)

SECONDS = 1.0  # in total; process managers and load balancers give up soon
TRUSTED_SECONDS = 10.0  # after Redis was found to be ours, only its answer is checked for this long
DATABASE, MIGRATE, REDIS = "database", "migrate", "redis"


def missing() -> tuple[str, ...]:
    """Return the names of what this process lacks, empty if it is ready: "database", "migrate", "redis".

    A schema that is ahead does not count. No process starts with one, so this process ran before the upgrade, and a
    release works with the schema of the next one (docs/upgrade.md).
    """
    deadline, engine = clock.monotonic() + SECONDS, db.engine
    running = [(DATABASE, _database.start(lambda: _check_database(engine))), (REDIS, _redis.start(_check_redis))]
    found = [each.result(deadline, otherwise=name) for name, each in running]
    return tuple(name for name in found if name)


class _Run:
    """One check in a thread; the thread ends by the time limits of the database or Redis, perhaps later than asked."""

    def __init__(self, check: Callable[[], str | None], failed: str) -> None:
        self._check, self._found = check, failed
        self.thread = threading.Thread(target=self._run, name=f"readiness {failed}", daemon=True)
        self.thread.start()

    def result(self, deadline: float, *, otherwise: str) -> str | None:
        """Return what is missing, None for nothing; `otherwise` if the check has not ended by `deadline`."""
        self.thread.join(max(deadline - clock.monotonic(), 0))
        return otherwise if self.thread.is_alive() else self._found

    def _run(self) -> None:
        try:
            self._found = self._check() or ""
        except Exception as error:  # of drivers, the network, a database that can't be used: all mean "not ready"
            logger.warning("not ready", extra={"part": self._found, "reason": type(error).__name__})


class _Check:
    """At most one run at a time: requests that come meanwhile wait for it, so that they cannot pile up."""

    def __init__(self, name: str) -> None:
        self._name, self._lock = name, threading.Lock()
        self._run: _Run | None = None

    def start(self, check: Callable[[], str | None]) -> _Run:
        """Return the run in progress, or a new one."""
        with self._lock:
            if self._run is None or not self._run.thread.is_alive():
                self._run = _Run(check, self._name)
            return self._run


def _check_database(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MIGRATE if migrate.schema_of(connection).state is SchemaState.BEHIND else None


def _check_redis() -> str | None:
    if not redis_client.client().ping():
        raise RedisConnectionError
    address = settings.current().redis_address
    if _trusted.get(address, float("-inf")) < clock.monotonic():
        redis_checks.require_ours()
        _trusted[address] = clock.monotonic() + TRUSTED_SECONDS
    return None


_trusted: dict[str, float] = {}  # until when, by URL
_database, _redis = _Check(DATABASE), _Check(REDIS)


def _forget_runs() -> None:
    global _database, _redis
    _database, _redis = _Check(DATABASE), _Check(REDIS)


os.register_at_fork(after_in_child=_forget_runs)  # threads end with a fork, locks may stay taken
