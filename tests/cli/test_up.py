"""`nametag up`: what it prints, what it refuses, and what it leaves behind."""

import os
import shutil
import signal
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from redis import Redis

from app import listen_address, settings
from app.supervisor import redis_server
from app.supervisor.processes import Supervisor
from tests.support.processes import Process, Processes, alive, answers, children, free_port, part
from tests.support.waiting import until


def up(processes: Processes, *options: str, **variables: str) -> tuple[Process, str]:
    started = processes.start("up", *options, **{"PORT": str(free_port()), "WORKERS": "1"} | variables)
    url = started.await_line("Nametag is ready: ").rpartition(" ")[2]
    return started, url


def test_it_prints_an_address_that_answers_and_a_sign_in(processes: Processes) -> None:
    started, url = up(processes)
    assert answers(url)
    started.await_line("Press Ctrl-C to stop.")
    assert started.await_line("Sign in as ").startswith("Sign in as admin@nametag.local with password ")


def test_a_web_server_that_is_killed_during_its_start_is_started_again(processes: Processes) -> None:
    started = processes.start("up", PORT=str(free_port()), WORKERS="1")
    web = until(lambda: part(started, "web --fd"), "the web server starts")
    os.kill(web, signal.SIGKILL)
    url = started.await_line("Nametag is ready: ").rpartition(" ")[2]
    assert "web exited (signal 9). Restarting it." in started.output()
    assert answers(url)


def test_the_password_is_shown_once_only(processes: Processes) -> None:
    first, _ = up(processes)
    first.await_line("Ctrl-C")
    first.end(signal.SIGINT)
    second, _ = up(processes)
    second.await_line("Ctrl-C")
    assert "Sign in as" not in second.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_everything_with_status_0(processes: Processes, number: signal.Signals) -> None:
    started, url = up(processes)
    until(lambda: len(children(started.id)) >= 7, "all parts run")
    began = children(started.id)
    assert started.end(number) == 0
    assert started.output().endswith("Stopped.\n")
    until(lambda: not any(map(alive, began)), "every part has gone", 2)
    assert not answers(url)


def test_a_second_start_on_the_same_data_is_refused_and_names_the_first(processes: Processes) -> None:
    started, url = up(processes)
    second = processes.nametag("up")
    assert second.returncode == 1
    assert second.stderr == f"Error: Nametag is already running with this data directory (pid {started.id}, {url}).\n"
    assert answers(url)


def test_a_taken_port_is_passed_over_with_a_line(processes: Processes) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        started, url = up(processes, PORT=str(port))
    used = int(url.rpartition(":")[2])
    assert port < used
    assert f"Port {port} is in use. Using {used}.\n" in started.output()
    assert answers(url)


def test_production_never_takes_another_port(processes: Processes, redis_server: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        refused = processes.nametag("up", PORT=str(port), REDIS_URL=redis_server, **PRODUCTION)
    assert refused.returncode == 1
    assert refused.stderr == f"Error: Port {port} is in use. Set PORT or LISTEN to a free one.\n"


def test_it_passes_the_number_of_web_processes_and_a_unix_socket_on(processes: Processes) -> None:
    folder = Path(tempfile.mkdtemp(prefix="nt-"))
    started, url = up(processes, LISTEN=f"unix:{folder}/web.sock", WEB_PROCESSES="2")
    assert url == f"unix:{folder}/web.sock"
    assert listen_address.parse(url).answers()
    web = part(started, "app.cli.main web")
    until(lambda: len(children(web)) == 2, "two web processes run")
    os.kill(web, signal.SIGTERM)  # it removes the socket, and its successor creates it again
    until(lambda: part(started, "app.cli.main web") not in (0, web), "another web server runs")
    until(listen_address.parse(url).answers, "it answers")
    assert started.end(signal.SIGINT) == 0
    shutil.rmtree(folder)


def test_the_demo_needs_a_port(processes: Processes) -> None:
    refused = processes.nametag("up", "--demo", LISTEN="unix:/tmp/web.sock")
    assert refused.returncode == 2
    assert "--demo can't be used with a Unix socket in LISTEN" in refused.stderr


def test_everything_it_writes_is_the_owners_alone(processes: Processes, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    started, _ = up(processes, NAMETAG_DATA_DIR=str(data_dir))
    started.await_line("Ctrl-C")
    open_to_others = [
        path
        for path in [data_dir, *data_dir.rglob("*")]
        if stat.S_IMODE(path.lstat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    assert open_to_others == []
    assert len(list(data_dir.iterdir())) > 5


def test_workers_of_every_queue_and_a_scheduler_are_at_work(processes: Processes, tmp_path: Path) -> None:
    up(processes, WORKERS="2")
    client = Redis(unix_socket_path=str(settings.redis_socket_path(tmp_path)))
    until(lambda: client.scard("rq:workers") == 4, "four workers are registered")
    assert client.scard("rq:workers:resolve-participants") == 2
    client.close()


PRODUCTION = {
    "NAMETAG_ENV": "production",
    "SECRET_KEY": "8f21c60b3e94d7a5b1c0f2698e4d375a",
    "TOKEN_ENCRYPTION_KEYS": "Q8x2mVdT0o9rJfYb5cWkHnLzE3sGuP7iAaB1RtKvX4M=",
    "META_APP_SECRETS": "51c0de9ab7f34826",
    "META_VERIFY_TOKEN": "hG7d-Qw2_pLx9Tz4",
}


def test_production_uses_the_given_redis_and_logs_to_standard_error(
    processes: Processes, redis_server: str, tmp_path: Path
) -> None:
    started, url = up(processes, REDIS_URL=redis_server, **PRODUCTION)
    assert answers(url)
    assert not (tmp_path / "redis").exists()
    assert '"message": "Listening at: ' in started.output()


def test_production_refuses_the_demo(processes: Processes) -> None:
    refused = processes.nametag("up", "--demo", **PRODUCTION)
    assert refused.returncode == 2
    assert "--demo can't be used when NAMETAG_ENV=production." in refused.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("WORKERS", "many"), ("META_APP_SECRETS", ","), ("META_APP_SECRETS", "a,,b")]
)
def test_a_wrong_setting_is_one_line_and_starts_nothing(
    processes: Processes, tmp_path: Path, name: str, value: str
) -> None:
    refused = processes.nametag("up", **{name: value})
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert name in refused.stderr
    assert not (tmp_path / "up.lock").exists()


def test_an_unreachable_database_is_one_line(processes: Processes) -> None:
    refused = processes.nametag("up", DATABASE_URL="postgresql://127.0.0.1:1/nametag", PORT=str(free_port()))
    assert refused.returncode == 1
    assert (
        refused.stderr == "Error: Can't connect to the database. Check DATABASE_URL and that the server is running.\n"
    )


def test_redis_files_in_use_by_somebody_else_are_one_line(processes: Processes, tmp_path: Path) -> None:
    keeper = Supervisor(log=tmp_path / "log", say=print)
    keeper.start(redis_server.program(tmp_path, tmp_path / "other.sock"))
    try:
        refused = processes.nametag("up", PORT=str(free_port()))
    finally:
        keeper.stop()
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: Another Redis server already uses ")
