"""`nametag web`: where it listens, what it logs, how it ends."""

import json
import signal
import socket

from tests.bed.processes import Processes
from tests.bed.waiting import until


def test_every_line_of_the_web_server_is_json(migrated: Processes) -> None:
    web = migrated.web()
    web.end()
    lines = [json.loads(line) for line in web.output().splitlines()]
    assert {"at", "level", "logger", "message"} <= set(lines[0])
    assert not any("GET /" in line["message"] for line in lines)  # an access log would carry people's filters


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
