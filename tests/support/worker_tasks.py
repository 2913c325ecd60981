"""Tasks for tests of the worker, and a worker that runs them: `python -m tests.support.worker_tasks QUEUE`."""

import sys
from dataclasses import replace

from flask import current_app

from app import clock, logs, queue, redis_client, worker
from app.core import create_core

QUEUE = "test-tasks"


def run(number: int) -> None:
    """Record that it ran, and in which app."""
    redis_client.client().rpush("ran", f"{number} in {current_app.name}")


def linger(name: str) -> None:
    """Work until asked to stop, then finish the current item."""
    redis_client.client().rpush("lingers", name)
    while not queue.stopping():
        clock.sleep(0.01)
    redis_client.client().rpush("finished", name)


def hold(name: str) -> None:
    """Never end."""
    redis_client.client().rpush("holds", name)
    clock.sleep(3600)


def fail(number: int) -> None:
    """Fail, with a token in the error's text."""
    raise ValueError(f"task {number} failed at /me?access_token=canary-token-{number}")


def progress(run_id: str) -> None:
    """Report progress twice."""
    queue.report(run_id, lambda: {"done": 1, "total": 2})
    queue.report(run_id, lambda: {"done": 2, "total": 2}, final=True)


_LIKE = replace(queue.TASKS[queue.RESOLVE], queue=QUEUE, timeout_seconds=30)
TASKS = {
    task.__name__: replace(_LIKE, path=f"tests.support.worker_tasks.{task.__name__}")
    for task in (run, linger, hold, fail, progress)
}

if __name__ == "__main__":
    queue.TASKS.update(TASKS)
    worker.DEQUEUE_SECONDS = 1  # a lost connection is noticed two seconds later
    logs.configure()
    worker.work(create_core(), sys.argv[1:])
