"""`nametag web`: its port, its log, its end."""

import json
import resource
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.support.processes import Processes, answers, children
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


def test_a_request_under_way_is_answered_after_sigterm(migrated: Processes) -> None:
    web = migrated.web()
    port = int(web.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /webhooks/instagram HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
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
