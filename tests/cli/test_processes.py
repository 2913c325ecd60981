"""`nametag web`, `worker` and `scheduler` as single processes."""

import json
import signal

import pytest
from redis import Redis

from app.queue import QUEUES
from tests.support.processes import Processes, answers, free_port
from tests.support.waiting import until


@pytest.mark.parametrize("command", ["web", "worker", "scheduler"])
def test_an_unmigrated_database_is_refused_with_a_remedy(processes: Processes, command: str) -> None:
    refused = processes.nametag(command, PORT=str(free_port()))
    assert refused.returncode == 1
    assert refused.stderr == "Error: The database schema is out of date. Run `nametag db upgrade`.\n"


@pytest.mark.parametrize("command", ["web", "worker", "scheduler", "up"])
def test_a_redis_of_others_is_refused_with_one_line(migrated: Processes, redis: Redis, command: str) -> None:
    redis.set("celery-task-meta", "somebody else's")
    refused = migrated.nametag(command, PORT=str(free_port()))
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "Error: The Redis database in REDIS_URL contains other data (for example celery-task-meta)"
    )
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["web", "worker", "scheduler"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_a_part_with_status_0(migrated: Processes, command: str, number: signal.Signals) -> None:
    port = free_port()
    part = migrated.start(command, PORT=str(port))
    ready = {
        "web": lambda: "SIGTERM" in caught(part.id) and answers(f"http://127.0.0.1:{port}"),
        "worker": lambda: "worker started" in part.output(),
        "scheduler": lambda: "SIGTERM" in caught(part.id),
    }
    until(ready[command], f"{command} is ready")
    assert part.end(number) == 0
    assert "Traceback" not in part.output()


def caught(process_id: int) -> set[str]:
    """Return the names of the signals that a process handles."""
    with open(f"/proc/{process_id}/status") as status:  # noqa: PTH123 - a file of the kernel
        mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
    return {number.name for number in signal.Signals if mask & (1 << (number - 1))}


def test_a_worker_without_a_queue_works_on_all_of_them_live_lookups_first(migrated: Processes) -> None:
    worker = migrated.start("worker")
    line = json.loads(worker.await_line("worker started"))
    assert line["queues"].split(",") == list(QUEUES)
    assert QUEUES[0] == "resolve-participants"


def test_an_unknown_queue_is_misuse(processes: Processes) -> None:
    refused = processes.nametag("worker", "--queue", "default")
    assert refused.returncode == 2
    assert "resolve-participants" in refused.stderr


def test_the_sandbox_is_refused_in_production(processes: Processes) -> None:
    secrets = {"SECRET_KEY": "8f21c60b3e94d7a5b1c0f2698e4d375a", "META_APP_SECRETS": "b51c0de9ab7f3482"}
    secrets["META_VERIFY_TOKEN"] = "b51c0de9ab7f3482-v"
    keys = {"TOKEN_ENCRYPTION_KEYS": "q1eKdJ8mVw3sYtR5uPz7LxBnC2hG4fE6aT9oQkWjMvI="}
    refused = processes.nametag("sandbox", NAMETAG_ENV="production", **secrets, **keys)
    assert refused.returncode == 2
    assert "The sandbox can't run when NAMETAG_ENV=production." in refused.stderr
