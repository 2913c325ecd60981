"""A complete installation under one supervisor, whose processes are killed."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.processes import Process, Processes, alive, answers, children, free_port, part
from tests.support.waiting import until


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("up")) as processes:
        yield processes


@pytest.fixture(scope="module")
def running(together: Processes) -> tuple[Process, str]:
    """One supervisor for all tests; each kills another part, the last one the supervisor."""
    started = together.start("up", PORT=str(free_port()), WORKERS="1")
    url = started.await_line("Nametag is ready: ").rpartition(" ")[2]
    until(lambda: part(started, "scheduler"), "everything is started")
    return started, url


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("worker --queue resolve-participants", "worker 1 of resolve-participants"),
        ("cli.main scheduler", "scheduler"),
        ("unixsocket", "redis"),
    ],
)
def test_a_killed_process_is_restarted_and_reported(running: tuple[Process, str], words: str, name: str) -> None:
    supervisor, url = running
    first = until(lambda: part(supervisor, words), f"{name} runs")
    os.kill(first, signal.SIGKILL)
    until(lambda: part(supervisor, words) not in (0, first), f"{name} runs again")
    assert f"{name} exited (signal 9). Restarting it.\n" in supervisor.output()
    assert answers(url)


def test_a_killed_web_server_comes_back_without_a_refused_connection(running: tuple[Process, str]) -> None:
    supervisor, url = running
    first = part(supervisor, "cli.main web")
    os.kill(first, signal.SIGKILL)
    until(lambda: not alive(first), "it has ended")  # until then it answers
    until(lambda: answers(url), "the first request after the kill is answered, late but not refused", 30)
    until(lambda: "web exited (signal 9). Restarting it.\n" in supervisor.output(), "it is reported")
    assert part(supervisor, "cli.main web") != first


def test_a_killed_gunicorn_worker_is_replaced(running: tuple[Process, str]) -> None:
    supervisor, url = running
    server = part(supervisor, "cli.main web")
    first = until(lambda: next(iter(children(server)), 0), "gunicorn has a worker")
    os.kill(first, signal.SIGKILL)
    until(lambda: any(child != first for child in children(server)), "gunicorn has another worker")
    assert answers(url)


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_works(
    running: tuple[Process, str], together: Processes
) -> None:
    supervisor, url = running
    family = children(supervisor.id)
    supervisor.end(signal.SIGKILL)
    until(lambda: not any(map(alive, family)), "every child and grandchild is gone")
    port = url.rpartition(":")[2]
    again = together.start("up", PORT=port, WORKERS="1")
    assert again.await_line("Nametag is ready: ").endswith(f":{port}")
    assert answers(url)
