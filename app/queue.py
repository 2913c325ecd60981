"""Background tasks in RQ queues: which exist, how they are enqueued and report progress. Arguments are IDs, as JSON.

A task in Redis may be lost at any time: the database has the state, and the scheduler enqueues the task again.
"""

import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import rq.serializers
from rq import Queue, get_current_job
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from app import clock, redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

# Write access to Redis must not allow running code here: RQ falls back to pickle in many places, even where JSON is
# set. So every process that imports this module has no pickle serializer.
rq.serializers.PickleSerializer = JSONSerializer  # type: ignore[assignment]  # on purpose
rq.serializers.SERIALIZER_ALIASES["pickle"] = JSONSerializer


@dataclass(frozen=True, slots=True)
class Task:
    """A background function: its queue, import path, time limit, and how long RQ keeps its result."""

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
SYNC_SLICE = "sync_slice"
ANNOUNCED = "announced"
AVATARS = "avatars"

# Also the allow-list: a worker refuses every other import path before importing it. Workers empty queues in this order.
TASKS = {
    RESOLVE: Task("resolve-participants", "app.tasks.resolve", 60, "look up contacts who are writing", 300),
    OPENED: Task("resolve-participants", "app.tasks.opened", 60, "refresh the contact of an opened conversation", 300),
    REFRESH_SLICE: Task("refresh-identities", "app.tasks.refresh_slice", 60, "a slice of a refresh", 86_400),
    AVATARS: Task("refresh-identities", "app.tasks.avatars", 300, "fetch pictures of an account and its contacts", 300),
    SYNC: Task("refresh-identities", "app.tasks.sync", 600, "sync conversations", 86_400),
    SYNC_SLICE: Task("refresh-identities", "app.tasks.sync_slice", 120, "a slice of a conversation sync", 86_400),
    ANNOUNCED: Task("refresh-identities", "app.tasks.announced", 300, "look for announced messages", 300),
    BACKFILL_SLICE: Task(
        "backfill-participant-profiles", "app.tasks.backfill_slice", 60, "a slice of a backfill", 86_400
    ),
}

QUEUES = tuple(dict.fromkeys(task.queue for task in TASKS.values()))

FAILURE_SECONDS = 7 * 86_400  # RQ's default keeps failed jobs for a year
HINT_SECONDS = 5  # a task that has not started by then is enqueued again when the same hint is given
# Until its task is enqueued, a hint lapses sooner: a Redis that was frozen keeps it for a caller that has given up.
UNCONFIRMED_SECONDS = 1
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


def enqueue(
    name: str, *ids: str | int, job_id: str | None = None, description: str | None = None, hint: str | None = None
) -> bool:
    """Enqueue task `name` with `ids`. Return False, and log a warning, if Redis is unavailable.

    The key `hint` is confirmed together with the task.
    """
    task, client = TASKS[name], redis_client.client()
    pipeline = client.pipeline()
    try:
        Queue(task.queue, connection=client, serializer=JSONSerializer).enqueue_call(
            task.path,
            args=ids,
            timeout=task.timeout_seconds,
            result_ttl=task.kept_seconds,
            failure_ttl=FAILURE_SECONDS,
            description=description or task.description,
            job_id=job_id,
            pipeline=pipeline,
        )
        if hint:
            pipeline.set(hint, 1, ex=HINT_SECONDS)
        pipeline.execute()
    except RedisUnavailable as error:
        logger.warning("task not enqueued: can't reach Redis", extra={"task": name, "reason": type(error).__name__})
        return False
    return True


def enqueue_once(name: str, *ids: str | int) -> bool:
    """Enqueue a task unless the same task is already waiting. Return False if Redis is unavailable."""
    hint = _hint(name, ids)
    try:
        fresh = redis_client.take(hint, "1", seconds=UNCONFIRMED_SECONDS, most_seconds=HINT_SECONDS)
    except RedisUnavailable as error:
        logger.warning("task not enqueued: can't reach Redis", extra={"task": name, "reason": type(error).__name__})
        return False
    return enqueue(name, *ids, hint=hint) if fresh else True


def is_kept(job_id: str) -> bool:
    """Return whether the RQ job called `job_id` is still in Redis; False if Redis is unavailable."""
    try:
        return bool(redis_client.client().exists(Job.key_for(job_id)))
    except RedisUnavailable:
        return False


def started(name: str, *ids: str | int) -> None:
    """Record that a task has started, so that it can be enqueued again from now on. Never raises."""
    try:
        redis_client.client().delete(_hint(name, ids))
    except RedisUnavailable:
        logger.info("can't reach Redis; the queued marker expires by itself", extra={"task": name})


def report(run_id: str, progress: Callable[[], Mapping[str, Any]], *, final: bool = False) -> None:
    """Write the progress of a job to the meta of the running RQ job and of the RQ job called `run_id`.

    Writes at most twice a second unless `final`; calls `progress` only when a write is due, and raises what it raises.
    """
    now = clock.monotonic()
    if not final and now - _reported_at.get(run_id, -REPORT_SECONDS) < REPORT_SECONDS:
        return
    _reported_at[run_id] = now
    try:
        client = redis_client.client()
        running = get_current_job()
        keys = {Job.key_for(run_id)} | ({running.key} if running else set())
        client.eval(_META, len(keys), *keys, json.dumps(progress()), TASKS[BACKFILL_SLICE].kept_seconds)
    except RedisUnavailable:
        logger.info("job progress not reported: can't reach Redis", extra={"run": run_id})


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """A queue: waiting tasks, age of the oldest one in seconds (0 without tasks), and workers that listen to it."""

    queue: str
    tasks: int
    oldest_seconds: float
    workers: int


def figures() -> list[QueueFigures]:
    """Return the figures of every queue, in two round trips. Raises RedisUnavailable."""
    pipeline = redis_client.client().pipeline(transaction=False)
    for name in QUEUES:
        pipeline.llen(Queue.redis_queue_namespace_prefix + name)
        pipeline.lrange(Queue.redis_queue_namespace_prefix + name, 0, 0)
        pipeline.smembers(f"{WORKERS_BY_QUEUE_KEY % name}")
    found = pipeline.execute()
    for oldest, workers in zip(found[1::3], found[2::3], strict=True):
        pipeline.hget(Job.key_for(oldest[0].decode()) if oldest else "rq:none", "enqueued_at")
        for key in sorted(workers):
            pipeline.exists(key)  # the key of a worker that was killed expires
        pipeline.exists("rq:none")  # separates the queues
    return list(_figures(found, pipeline.execute()))


def _figures(found: list[Any], details: list[Any]) -> Iterator[QueueFigures]:
    now, rest = clock.now(), iter(details)
    for name, tasks, workers in zip(QUEUES, found[::3], found[2::3], strict=True):
        enqueued_at, *alive, _ = itertools.islice(rest, len(workers) + 2)
        age = (now - utcparse(enqueued_at.decode())).total_seconds() if enqueued_at else 0.0
        yield QueueFigures(name, tasks, max(age, 0.0), sum(alive))


def stop() -> None:
    """Ask loops in this process to end after their current item. Safe in a signal handler."""
    global _stopping
    _stopping = True


def stopping() -> bool:
    """Return whether this process was asked to stop. Loops end after their current item."""
    return _stopping


def _hint(name: str, ids: tuple[str | int, ...]) -> str:
    return ":".join(["nametag:hint", name, *map(str, ids)])
