"""`nametag web`: its port, its log, its end."""

import json
import os
import resource
import shutil
import signal
import socket
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path

from app import listen_address
from tests.support.processes import Processes, answers, children, free_port
from tests.support.waiting import until


def test_every_line_of_the_web_server_is_json(migrated: Processes) -> None:
    web = migrated.web()
    web.end()
    lines = [json.loads(line) for line in web.output().splitlines()]
    assert {"at", "level", "logger", "message"} <= set(lines[0])
    assert not any("GET /" in line["message"] for line in lines)  # an access log would contain search terms


def test_the_web_server_listens_on_this_machine_alone(migrated: Processes) -> None:
    web = migrated.web()
    assert "http://127.0.0.1:" in web.output()


def test_the_web_server_listens_on_ipv6(migrated: Processes) -> None:
    port = free_port()
    web = migrated.start("web", LISTEN=f"[::1]:{port}")
    until(lambda: answers(f"http://[::1]:{port}/healthz"), "it answers")
    assert web.end() == 0


def test_a_unix_socket_is_for_its_owner_and_group_and_replaces_one_that_was_left(
    migrated: Processes, tmp_path: Path
) -> None:
    path = Path(tempfile.mkdtemp(prefix="nt-")) / "web.sock"
    address = listen_address.parse(f"unix:{path}")
    for _ in range(2):
        web = migrated.start("web", LISTEN=str(address))
        until(address.answers, "it answers")
        assert stat.S_IMODE(path.stat().st_mode) == 0o770
        os.killpg(web.id, signal.SIGKILL)
        web.wait()
        until(lambda: not address.answers(), "it has ended")
        assert path.exists()
    shutil.rmtree(path.parent)


def test_the_web_server_notifies_systemd_when_it_is_ready(migrated: Processes) -> None:
    folder = Path(tempfile.mkdtemp(prefix="nt-"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(folder / "notify"))
        notified.settimeout(30)
        web = migrated.start("web", PORT=str(free_port()), NOTIFY_SOCKET=str(folder / "notify"))
        assert notified.recv(1000).startswith(b"READY=1")
    web.end()
    shutil.rmtree(folder)


def test_a_unix_socket_in_a_missing_folder_is_one_line(migrated: Processes, tmp_path: Path) -> None:
    refused = migrated.nametag("web", LISTEN=f"unix:{tmp_path / 'x' / 's'}")
    assert (refused.returncode, refused.stderr.count("folder doesn't exist")) == (1, 1)


def test_a_request_under_way_is_answered_after_sigterm(migrated: Processes) -> None:
    web = migrated.web()
    port = int(web.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = (
            b"POST /webhooks/instagram HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # a thread handles it
        connection.sendall(b"{")
        web.send(signal.SIGTERM)
        until(lambda: "Handling signal: term" in web.output(), "the stop has begun")
        connection.sendall(b"}")
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
    assert web.wait() == 0


def test_more_clients_than_file_descriptors_wait_and_the_worker_lives(migrated: Processes) -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, most))
    try:
        web = migrated.web()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    [worker] = children(web.id)
    descriptors, port = Path(f"/proc/{worker}/fd"), int(web.url.rpartition(":")[2])
    before = len(list(descriptors.iterdir()))
    with ExitStack() as idle:
        for _ in range(188):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        until(lambda: len(list(descriptors.iterdir())) >= before + 32, "as many as may be are connected")
    until(lambda: answers(web.url), "it answers")
    assert children(web.id) == {worker}
    assert "Too many open files" not in web.output()
