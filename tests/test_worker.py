"""The worker as a separate process: what it runs, what it refuses, how it stops, what it survives."""

import json
import os
import pickle
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker, WorkerStatus

from app import heartbeats, queue, settings
from app.core import create_core
from app.supervisor import redis_server
from app.supervisor.processes import Supervisor
from app.worker import TaskWorker
from tests.support import databases, leaks, worker_tasks
from tests.support.processes import Process, Processes, alive, children
from tests.support.waiting import until


@pytest.fixture
def errand(
    redis: Redis, processes: Processes, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Process]:
    """A running worker for the test tasks."""
    for name, task in worker_tasks.TASKS.items():
        monkeypatch.setitem(queue.TASKS, name, task)
    with settings.using(database_url=sqlite_database) as chosen:
        processes.share(chosen)
        worker = processes.module("tests.support.worker_tasks", worker_tasks.QUEUE)
        worker.await_line("worker started")
        until(lambda: len(registered(redis)) == 1, "the worker is registered")
        yield worker


def registered(redis: Redis) -> list[BaseWorker]:
    return BaseWorker.all(connection=redis, serializer=JSONSerializer)


def listed(redis: Redis, key: str) -> list[str]:
    return [item.decode() for item in redis.lrange(key, 0, -1) if isinstance(item, bytes)]


def job(redis: Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=redis, serializer=JSONSerializer)


def ended(redis: Redis, job_id: str) -> Job:
    until(lambda: job(redis, job_id).get_status() in (JobStatus.FINISHED, JobStatus.FAILED), "the job ended")
    return job(redis, job_id)


def test_a_task_runs_inside_the_app(errand: Process, redis: Redis) -> None:
    queue.enqueue("run", 7)
    assert until(lambda: listed(redis, "ran"), "the task ran") == ["7 in nametag"]


def test_tasks_run_one_after_the_other_in_their_order(errand: Process, redis: Redis) -> None:
    for number in range(5):
        queue.enqueue("run", number)
    until(lambda: len(listed(redis, "ran")) == 5, "all ran")
    assert listed(redis, "ran") == [f"{number} in nametag" for number in range(5)]


def test_a_failing_task_is_logged_as_one_json_line_and_the_next_one_runs(errand: Process, redis: Redis) -> None:
    queue.enqueue("fail", 3, job_id="fails")
    queue.enqueue("run", 4)
    until(lambda: listed(redis, "ran"), "the next one ran")
    assert job(redis, "fails").is_failed
    lines = [json.loads(line) for line in errand.output().splitlines()]
    assert any("task 3 failed" in line["message"] for line in lines)


def test_no_secret_stands_in_what_a_failing_task_leaves_behind(errand: Process, redis: Redis) -> None:
    queue.enqueue("fail", 3, job_id="fails")
    failed = ended(redis, "fails")
    assert leaks.keys_with(redis, "task 3 failed")
    assert leaks.keys_with(redis, "canary-token") == set()
    assert "canary-token" not in errand.output()
    assert (failed.failure_ttl, redis.ttl(failed.key) <= queue.FAILURE_SECONDS) == (queue.FAILURE_SECONDS, True)
    assert redis.ttl(failed.key) > 0


def test_a_task_reports_into_its_own_meta(errand: Process, redis: Redis) -> None:
    queue.enqueue("progress", "run000000001", job_id="other")
    queue.enqueue("progress", "run000000002", job_id="run000000002")
    assert ended(redis, "run000000002").get_meta() == {"done": 2, "total": 2}
    assert ended(redis, "other").get_meta() == {"done": 2, "total": 2}


def test_sigterm_lets_the_present_item_finish_and_ends_the_worker(errand: Process, redis: Redis) -> None:
    queue.enqueue("linger", "lea", job_id="lingers")
    until(lambda: listed(redis, "lingers"), "the task works")
    assert errand.end(signal.SIGTERM) == 0
    assert listed(redis, "finished") == ["lea"]
    assert job(redis, "lingers").is_finished


def test_sigterm_ends_an_idle_worker_at_once(errand: Process, redis: Redis) -> None:
    assert errand.end(signal.SIGTERM) == 0
    assert registered(redis) == []


def test_no_fork_outlives_a_killed_worker(errand: Process, redis: Redis) -> None:
    queue.enqueue("hold", "lea")
    until(lambda: listed(redis, "holds"), "the task works")
    forks = children(errand.id)
    assert forks
    errand.end(signal.SIGKILL)
    until(lambda: not any(alive(fork) for fork in forks), "the fork is gone")


def test_a_killed_fork_fails_its_job_and_the_worker_works_on(errand: Process, redis: Redis) -> None:
    queue.enqueue("hold", "lea", job_id="held")
    queue.enqueue("run", 1)
    until(lambda: listed(redis, "holds"), "the task works")
    (fork,) = children(errand.id)
    os.kill(fork, signal.SIGKILL)
    until(lambda: listed(redis, "ran"), "the next task ran")
    assert job(redis, "held").is_failed


def test_a_worker_forgotten_by_redis_makes_itself_known_again(errand: Process, redis: Redis) -> None:
    with redis.pipeline() as both:  # a heartbeat between the two would register it
        both.flushall()
        both.exists("rq:workers")
        assert both.execute() == [True, 0]
    queue.enqueue("run", 1)
    until(lambda: [worker.queue_names() for worker in registered(redis)] == [[worker_tasks.QUEUE]], "it is known again")


def test_a_worker_outlives_a_redis_that_comes_late_and_one_that_restarts(
    processes: Processes, sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(queue.TASKS, "run", worker_tasks.TASKS["run"])
    socket = tmp_path / "own.sock"
    keeper = Supervisor(log=tmp_path / "redis.log", say=print)
    with settings.using(database_url=sqlite_database, redis_url=f"unix://{socket}") as chosen:
        processes.share(chosen)
        worker = processes.module("tests.support.worker_tasks", worker_tasks.QUEUE)
        worker.await_line("worker paused: can't use Redis")
        for number in (1, 2):
            keeper.start(redis_server.program(tmp_path, socket))
            keeper.await_ready("redis")
            assert queue.enqueue("run", number)
            until(partial(_known_and_done, Redis(unix_socket_path=str(socket))), "the worker is back")
            keeper.stop()
        assert worker.end(signal.SIGTERM) == 0


def _known_and_done(redis: Redis) -> bool:
    states = [worker.get_state() for worker in registered(redis)]
    # A private server that was restarted has forgotten the task before.
    return len(listed(redis, "ran")) == 1 and states == [WorkerStatus.IDLE]


def plant(redis: Redis, data: bytes, fields: dict[str, str]) -> None:
    origin = Queue(worker_tasks.QUEUE, connection=redis, serializer=JSONSerializer)
    planted = origin.enqueue_call("nowhere.at_all", job_id="planted-unused")
    redis.rename(planted.key, Job.key_for("planted"))
    redis.hset(Job.key_for("planted"), "data", zlib.compress(data))
    for name, value in fields.items():
        redis.hset(Job.key_for("planted"), name, value)
    redis.delete(origin.key)
    redis.rpush(origin.key, "planted")


def call(path: str, *arguments: object, **keywords: object) -> bytes:
    return json.dumps([path, None, arguments, keywords]).encode()


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


RUN, FAIL = worker_tasks.TASKS["run"].path, worker_tasks.TASKS["fail"].path
WEBHOOK = json.dumps([{"url": "http://127.0.0.1:9/", "job_status": "failed", "method": "GET"}])
PLANTED: dict[str, tuple[bytes, dict[str, str]]] = {
    "another function": (call("os.system", "touch canary"), {}),
    "a builtin": (call("builtins.eval", "open('canary', 'w')"), {}),
    "a module that acts when imported": (call("canary_module.function"), {}),
    "a text that is no id": (call(RUN, "; touch canary"), {}),
    "a nested argument": (call(RUN, ["canary"]), {}),
    "keywords": (call(RUN, number=1), {}),
    "a success callback": (call(RUN, 1), {"success_callback_name": "canary_module.f"}),
    "a failure callback": (call(FAIL, 1), {"failure_callback_name": "canary_module.f"}),
    "a stop callback": (call(RUN, 1), {"stopped_callback_name": "canary_module.f"}),
    "a webhook": (call(RUN, 1), {"webhooks": WEBHOOK}),
    "a pickle": (pickle.dumps(Payload(Path("canary"))), {}),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_job_is_refused_before_anything_is_imported(
    errand: Process, redis: Redis, processes: Processes, what: str
) -> None:
    (processes.folder / "canary_module.py").write_text("open('canary', 'w')\ndef f(*_): pass\n")
    data, fields = PLANTED[what]
    plant(redis, data, fields)
    failed = ended(redis, "planted")
    assert failed.is_failed
    result = failed.latest_result()
    assert result is not None
    assert ("not allowed" in str(result.exc_string)) or what == "a pickle"
    assert not (processes.folder / "canary").exists()
    assert listed(redis, "ran") == []
    queue.enqueue("run", 2)
    until(lambda: listed(redis, "ran") == ["2 in nametag"], "the worker lives and works on")


def test_a_job_id_that_is_not_text_is_skipped(errand: Process, redis: Redis) -> None:
    redis.rpush(f"rq:queue:{worker_tasks.QUEUE}", b"\xff\xfe")
    queue.enqueue("run", 1)
    until(lambda: listed(redis, "ran") == ["1 in nametag"], "the next task ran")


def test_a_command_over_redis_does_not_stop_a_worker(errand: Process, redis: Redis) -> None:
    (worker,) = registered(redis)
    assert redis.publish(worker.pubsub_channel_name, json.dumps({"command": "shutdown"})) == 0
    queue.enqueue("run", 1)
    until(lambda: listed(redis, "ran"), "the worker works on")


def test_a_worker_keeps_to_its_memory(errand: Process) -> None:
    resident_kib = int(next(
        line.split()[1] for line in Path(f"/proc/{errand.id}/status").read_text().splitlines() if "VmRSS" in line
    ))  # fmt: skip
    assert resident_kib < 120 * 1024


def test_a_stop_during_a_heartbeat_is_not_lost(
    redis: Redis, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_part: str) -> None:
        with suppress(StopRequested):  # as SQLAlchemy's pool does
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(heartbeats, "beat", interrupted)
    stop = threading.Event()
    monkeypatch.setattr(queue, "stop", stop.set)
    monkeypatch.setattr(queue, "stopping", stop.is_set)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with settings.using(database_url=sqlite_database), databases.app_context_of(create_core()) as app:
        worker = TaskWorker(app, [worker_tasks.QUEUE], redis)
        worker.register_birth()  # type: ignore[no-untyped-call]  # RQ leaves it untyped
        worker._install_signal_handlers()  # RQ's own name of what it calls when it starts
        try:
            with pytest.raises(StopRequested):
                worker.heartbeat()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
