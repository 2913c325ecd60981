"""Tasks in queues: enqueued once or every time; nothing raises or unpickles."""

import json
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import pytest
import rq.serializers
from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from app import clock, queue, redis_client, settings
from app.supervisor import redis_server
from app.supervisor.processes import Supervisor
from tests.support.waiting import until


def waiting(redis: Redis, name: str = queue.RESOLVE) -> list[Job]:
    return Queue(queue.TASKS[name].queue, connection=redis, serializer=JSONSerializer).jobs


@contextmanager
def frozen(folder: Path) -> Iterator[Callable[[], None]]:
    """Use a Redis server that is frozen until the function that is yielded is called."""
    keeper = Supervisor(log=folder / "log", say=print)
    socket = settings.redis_socket_path(folder)
    keeper.start(redis_server.program(folder, socket))
    keeper.await_ready("redis")
    try:
        with settings.using(redis_url=f"unix://{socket}"):
            redis_client.client().ping()
            os.kill(keeper.process_id("redis"), signal.SIGSTOP)
            yield lambda: os.kill(keeper.process_id("redis"), signal.SIGCONT)
    finally:
        os.kill(keeper.process_id("redis"), signal.SIGCONT)
        keeper.stop()


def test_a_task_waits_in_its_queue_with_ids_timeout_and_ttls(redis: Redis) -> None:
    assert queue.enqueue(queue.BACKFILL_SLICE, "0123456789ab", job_id="0123456789ab", description="backfill run")
    (job,) = waiting(redis, queue.BACKFILL_SLICE)
    assert (job.id, job.origin, job.func_name) == (
        "0123456789ab",
        "backfill-participant-profiles",
        "app.tasks.backfill_slice",
    )
    assert list(job.args) == ["0123456789ab"]
    assert (job.timeout, job.failure_ttl, job.description) == (60, 7 * 86_400, "backfill run")


def test_what_lies_in_redis_is_json_without_the_arguments_in_its_description(redis: Redis) -> None:
    queue.enqueue(queue.RESOLVE, 7)
    (job,) = waiting(redis)
    assert json.loads(job.data) == ["app.tasks.resolve", None, [7], {}]
    assert job.description == "look up contacts who are writing"


def test_the_queues_have_the_names_of_the_contract() -> None:
    assert {task.queue for task in queue.TASKS.values()} == {
        "resolve-participants",
        "backfill-participant-profiles",
        "refresh-identities",
    }


def test_every_task_path_leads_to_a_function() -> None:
    for task in queue.TASKS.values():
        module, _, name = task.path.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_the_same_hint_waits_only_once_until_its_task_has_started(redis: Redis) -> None:
    assert [queue.enqueue_once(queue.RESOLVE, 7) for _ in range(3)] == [True, True, True]
    assert queue.enqueue_once(queue.RESOLVE, 8)
    assert [list(job.args) for job in waiting(redis)] == [[7], [8]]
    queue.started(queue.RESOLVE, 7)
    queue.enqueue_once(queue.RESOLVE, 7)
    assert [list(job.args) for job in waiting(redis)] == [[7], [8], [7]]


def test_a_hint_that_never_starts_lapses_by_itself(redis: Redis) -> None:
    queue.enqueue_once(queue.RESOLVE, 7)
    (key,) = redis.keys("nametag:hint:*")
    assert 0 < redis.pttl(key) <= queue.HINT_SECONDS * 1000


def test_nothing_raises_when_redis_is_away(tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path / 'nobody.sock'}"):
        assert queue.enqueue(queue.RESOLVE, 7) is False
        assert queue.enqueue_once(queue.RESOLVE, 7) is False
        queue.started(queue.RESOLVE, 7)
        queue.report("0123456789ab", lambda: {"done": 1})


def test_a_frozen_redis_costs_a_caller_half_a_second(tmp_path: Path) -> None:
    with frozen(tmp_path):
        began = clock.monotonic()
        assert queue.enqueue(queue.RESOLVE, 7) is False
        assert clock.monotonic() - began < 1


def test_a_hint_sent_to_a_frozen_redis_blocks_no_task_afterwards(tmp_path: Path) -> None:
    with frozen(tmp_path) as resume:
        assert queue.enqueue_once(queue.RESOLVE, 7) is False
        resume()
        redis = redis_client.waiting_client()
        until(lambda: redis.exists(f"nametag:hint:{queue.RESOLVE}:7"), "Redis ran the command that nobody waits for")
        began = clock.monotonic()
        until(lambda: queue.enqueue_once(queue.RESOLVE, 7) and waiting(redis), "the task waits in its queue")
        assert clock.monotonic() - began < 2
        redis.close()


def test_a_full_redis_is_away_and_loses_no_job_that_waits(redis: Redis) -> None:
    queue.enqueue(queue.RESOLVE, 7)
    redis.config_set("maxmemory", "1")
    try:
        assert queue.enqueue(queue.RESOLVE, 8) is False
        assert queue.enqueue_once(queue.RESOLVE, 8) is False
    finally:
        redis.config_set("maxmemory", "0")
    assert [list(job.args) for job in waiting(redis)] == [[7]]


def test_progress_is_in_the_meta_of_the_runs_first_job(redis: Redis) -> None:
    queue.enqueue(queue.BACKFILL_SLICE, "progress0001", job_id="progress0001")
    queue.report("progress0001", lambda: {"done": 3, "total": 9, "state": "running"})
    (job,) = waiting(redis, queue.BACKFILL_SLICE)
    assert job.get_meta() == {"done": 3, "total": 9, "state": "running"}


def test_reports_come_at_most_twice_a_second_but_the_last_one_always(redis: Redis) -> None:
    queue.enqueue(queue.BACKFILL_SLICE, "progress0002", job_id="progress0002")
    (job,) = waiting(redis, queue.BACKFILL_SLICE)
    queue.report("progress0002", lambda: {"done": 1})
    queue.report("progress0002", lambda: pytest.fail("nobody is told, so nothing is asked"))
    assert job.get_meta() == {"done": 1}
    queue.report("progress0002", lambda: {"done": 9}, final=True)
    assert job.get_meta() == {"done": 9}


def test_a_report_on_a_job_that_is_gone_leaves_nothing_behind(redis: Redis) -> None:
    queue.report("progress0003", lambda: {"done": 1})
    assert redis.keys("*") == []


class Planted:
    """Unpickling this leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("field", ["data", "meta", "result"])
def test_a_planted_pickle_never_runs_even_where_rq_falls_back_to_its_default(
    redis: Redis, tmp_path: Path, field: str
) -> None:
    canary = tmp_path / "canary"
    queue.enqueue(queue.RESOLVE, 7, job_id="planted")
    redis.hset(Job.key_for("planted"), field, pickle.dumps(Planted(canary)))
    job = Job.fetch("planted", connection=redis)  # no serializer given: RQ's default is pickle
    for read in (lambda: job.args, job.get_meta, job.return_value):
        with suppress(DeserializationError, UnicodeDecodeError):
            read()
    assert rq.serializers.resolve_serializer("pickle") is JSONSerializer
    assert not canary.exists()


def test_a_hint_without_expiry_gets_one_and_blocks_no_task_forever(redis: Redis) -> None:
    hint, tasks = f"nametag:hint:{queue.SYNC}:7", queue.TASKS[queue.SYNC].queue
    redis.set(hint, 1)
    assert queue.enqueue_once(queue.SYNC, 7)
    assert redis.ttl(hint) == queue.HINT_SECONDS
    redis.delete(hint)  # as it lapses
    assert queue.enqueue_once(queue.SYNC, 7)
    assert len(Queue(tasks, connection=redis, serializer=JSONSerializer)) == 1
