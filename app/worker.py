"""RQ worker that runs only the tasks in queue.TASKS. The app is loaded once; each task runs in a fork of it."""

import gc
import logging
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from flask import Flask
from redis import Redis
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from app import change_tokens, clock, counters, heartbeats, logs, parent_death, queue, redis_checks, redis_client, tasks
from app.errors import Conflict
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# With these, the task of a lost host stays "started" for 76 s; with RQ's defaults for 810 s.
MONITORING_SECONDS = 5
MAINTENANCE_SECONDS = 10
TTL_SECONDS = 30
DEQUEUE_SECONDS = 5
PRELOADED = tasks  # imported here, so that no fork has to import them
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class TaskRefused(Exception):
    """A job in Redis was not enqueued by Nametag."""


class TaskJob(Job):
    """A job that can only run a task of TASKS with IDs: anyone with access to Redis may have written it."""

    @property
    def func(self) -> Any:
        """Return the task's function. Raises TaskRefused before anything else is imported."""
        self._check()
        return import_attribute(str(self.func_name))

    # Callbacks and webhooks would import or call what a forged job names, even when it fails.
    success_callback = failure_callback = stopped_callback = None

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Disable RQ's webhooks."""

    def _check(self) -> None:
        named = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if self.func_name not in {task.path for task in queue.TASKS.values()} or self.instance is not None:
            raise TaskRefused("not allowed: no such task")
        if any(named) or self.webhooks or self.repeats_left:
            raise TaskRefused("not allowed: callbacks, webhooks and repeats")
        if self.kwargs or not all(_is_id(argument) for argument in self.args):
            raise TaskRefused("not allowed: a task takes IDs only")


class TaskWorker(Worker):
    """RQ's forking worker with the app context. A request to stop also reaches the running task."""

    job_class = TaskJob
    log_job_description = False
    log_result_lifespan = False
    max_connection_wait_time = 2.0

    def __init__(self, app: Flask, names: Sequence[str], connection: Redis) -> None:
        super().__init__(
            list(names),
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=TTL_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
            maintenance_interval=MAINTENANCE_SECONDS,
            log_job_description=False,
        )
        self.app = app

    def subscribe(self) -> None:
        """Disable RQ's commands: write access to Redis could stop workers, and forks would inherit a thread."""

    @property
    def dequeue_timeout(self) -> int:
        """Seconds that one read waits for a task."""
        return DEQUEUE_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Seconds after which a read fails: a lost server closes no connection."""
        return DEQUEUE_SECONDS + 2

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002
        self.ip_address = "unknown"  # RQ would use CLIENT LIST, which hosted servers do not allow

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]  # RQ leaves it untyped
        self._stop_requested = queue.stopping()  # a stop requested while this worker was created

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Send heartbeats, and register the worker again if Redis has lost its data."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.is_horse and not self.connection.sismember(self.redis_workers_keys, self.key):
            self.connection.hset(self.key, mapping=self.serialize())
            worker_registration.register(self)
        if not self.is_horse:
            with self.app.app_context(), _uninterrupted():
                for name in self.queue_names():
                    heartbeats.beat(name)

    def perform_job(self, job: Job, origin: Queue) -> bool:
        """Run the task inside the app context."""
        with self.app.app_context(), logs.log_context(job=job.id):
            try:
                return super().perform_job(job, origin)
            finally:
                counters.send()

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        """Store a failure in Redis, without secrets that its traceback may contain."""
        super().handle_job_failure(job, queue, started_job_registry, logs.redact(exc_string))

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Mark all accounts as changed: the killed fork may have committed without reporting it."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]
        change_tokens.mark_all_changed()

    def setup_work_horse_signals(self) -> None:
        """End the fork when this worker ends."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # RQ leaves it untyped
        parent_death.end_with_parent(int(self.pid or 0))

    def fork_work_horse(self, job: Job, origin: Queue) -> None:
        """Fork, and pass on a stop that was requested while forking."""
        super().fork_work_horse(job, origin)
        if self._stop_requested:
            self._stop_fork()

    def handle_warm_shutdown_request(self) -> None:
        """Stop the running task after its current item."""
        queue.stop()
        self._stop_requested = True  # in case RQ's exception does not reach its loop
        self._stop_fork()

    def _stop_fork(self) -> None:
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGUSR1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    # RQ raises in its signal handlers. SQLAlchemy's pool swallows that while it takes a connection back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work(app: Flask, names: Sequence[str]) -> None:
    """Run tasks of the named queues, in this order, until SIGTERM or SIGINT. Waits while Redis is unavailable."""
    gc.collect()
    gc.freeze()  # keeps the memory shared with every fork
    signal.signal(signal.SIGUSR1, _stop)  # inherited by the forks
    reported = ""
    while not queue.stopping():
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
        try:
            redis_checks.require_supported()  # fails fast, unlike the waiting client
            reported = ""
            _work_until_redis_goes(app, names)
        except (RedisUnavailable, Conflict) as error:
            reason = str(error) if isinstance(error, Conflict) else redis_checks.explain(error)[0]
            if reason != reported:
                logger.warning("worker paused: can't use Redis", extra={"reason": reason})
            reported = reason
        if not queue.stopping():
            clock.sleep(RETRY_SECONDS)


def _work_until_redis_goes(app: Flask, names: Sequence[str]) -> None:
    with redis_client.waiting_client() as connection, suppress(StopRequested):
        worker = TaskWorker(app, names, connection)
        logger.info("worker started", extra={"queues": ",".join(names)})
        worker.work(logging_level="WARNING")


def _stop(_number: int, _frame: FrameType | None) -> None:
    queue.stop()


def _is_id(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and _ID.fullmatch(value) is not None)
