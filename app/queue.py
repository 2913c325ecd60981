"""Hints for background work, carried by RQ: which tasks exist, how they are enqueued and report. Ids only, as JSON.

A hint may be lost at any time: state is in rows, and the ticker finds what a lost hint leaves (house.md 7).
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import rq.serializers
from rq import Queue, get_current_job
from rq.job import Job
from rq.serializers import JSONSerializer

from app import clock, redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

# Whoever can write to Redis must not be able to run code here: RQ falls back to pickle in many places, even where
# JSON is set (dependencies.md 2.4), so pickle is switched off for every process that imports this module.
rq.serializers.PickleSerializer = JSONSerializer  # type: ignore[assignment]  # that is the point
rq.serializers.SERIALIZER_ALIASES["pickle"] = JSONSerializer


@dataclass(frozen=True, slots=True)
class Task:
    """A background function: the queue it waits in, its import path on the wire, how long it may take."""

    queue: str
    path: str
    timeout_seconds: int
    description: str
    kept_seconds: int


RESOLVE = "resolve"
OPENED = "opened"
BACKFILL_SLICE = "backfill_slice"
REFRESH_SLICE = "refresh_slice"
SYNC = "sync"
ANNOUNCED = "announced"
AVATARS = "avatars"

# The routing table, the timeout table and the allow-list: a worker refuses every other path before importing it.
# A worker empties the queues in this order.
TASKS = {
    RESOLVE: Task("resolve-participants", "app.tasks.resolve", 60, "find out who is writing", 300),
    OPENED: Task("resolve-participants", "app.tasks.opened", 60, "refresh whose conversation was opened", 300),
    REFRESH_SLICE: Task("refresh-identities", "app.tasks.refresh_slice", 60, "a slice of a refresh", 86_400),
    AVATARS: Task("refresh-identities", "app.tasks.avatars", 300, "fetch people's pictures", 300),
    SYNC: Task("refresh-identities", "app.tasks.sync", 600, "sync conversations", 86_400),
    ANNOUNCED: Task("refresh-identities", "app.tasks.announced", 300, "look for announced messages", 300),
    BACKFILL_SLICE: Task(
        "backfill-participant-profiles", "app.tasks.backfill_slice", 60, "a slice of a backfill", 86_400
    ),
}

FAILURE_SECONDS = 7 * 86_400  # RQ's default keeps failed jobs for a year
HINT_SECONDS = 5  # a hint that was not started by then is repeated when somebody asks again
REPORT_SECONDS = 0.5

_META = """
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'meta', ARGV[1])
    if redis.call('TTL', key) > 0 then redis.call('EXPIRE', key, ARGV[2]) end
  end
end
"""
_stopping = False
_reported_at: dict[str, float] = {}


def enqueue(name: str, *ids: str | int, job_id: str | None = None, description: str | None = None) -> bool:
    """Ask for task `name` to run soon with `ids`; return False, after a line in the log, when Redis is away."""
    task = TASKS[name]
    try:
        Queue(task.queue, connection=redis_client.client(), serializer=JSONSerializer).enqueue_call(
            task.path,
            args=ids,
            timeout=task.timeout_seconds,
            result_ttl=task.kept_seconds,
            failure_ttl=FAILURE_SECONDS,
            description=description or task.description,
            job_id=job_id,
        )
    except RedisUnavailable as error:
        logger.warning("a task could not be enqueued", extra={"task": name, "reason": type(error).__name__})
        return False
    return True


def enqueue_once(name: str, *ids: str | int) -> bool:
    """Ask for a task unless the same hint is already waiting; return False when Redis is away."""
    try:
        fresh = redis_client.take(_hint(name, ids), "1", seconds=HINT_SECONDS)
    except RedisUnavailable as error:
        logger.warning("a task could not be enqueued", extra={"task": name, "reason": type(error).__name__})
        return False
    return enqueue(name, *ids) if fresh else True


def started(name: str, *ids: str | int) -> None:
    """Say that a task has begun, so that what happens from now on asks for another turn; never raises."""
    try:
        redis_client.client().delete(_hint(name, ids))
    except RedisUnavailable:
        logger.info("Redis is away; the waiting hint lapses by itself", extra={"task": name})


def report(run_id: str, told: Callable[[], Mapping[str, int | str | None]], *, final: bool = False) -> None:
    """Show progress in the meta of the running RQ job and of the job called `run_id`; raises what `told` raises.

    Reports within half a second of the last one are dropped unless `final`, and what they would tell is not asked.
    """
    now = clock.monotonic()
    if not final and now - _reported_at.get(run_id, -REPORT_SECONDS) < REPORT_SECONDS:
        return
    _reported_at[run_id] = now
    try:
        client = redis_client.client()
        running = get_current_job()
        keys = {Job.key_for(run_id)} | ({running.key} if running else set())
        client.eval(_META, len(keys), *keys, json.dumps(told()), TASKS[BACKFILL_SLICE].kept_seconds)
    except RedisUnavailable:
        logger.info("Redis is away; progress is not shown there", extra={"run": run_id})


def stop() -> None:
    """Ask the work in this process to end after its present item; safe in a signal handler."""
    global _stopping
    _stopping = True


def stopping() -> bool:
    """Return whether this process was asked to stop: loops end after their present item."""
    return _stopping


def _hint(name: str, ids: tuple[str | int, ...]) -> str:
    return ":".join(["nametag:hint", name, *map(str, ids)])
