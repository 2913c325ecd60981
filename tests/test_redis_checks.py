"""Redis servers that are refused at the start, and what is reported of one that can't be used."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from app import redis_checks, settings
from app.errors import Conflict


@contextmanager
def server_of(version: str) -> Iterator[str]:
    """Answer with a version and no keys; every other command succeeds."""
    told = f"# Server\r\nredis_version:{version}\r\n"
    answers = {b"INFO": f"${len(told)}\r\n{told}\r\n", b"SCAN": "*2\r\n$1\r\n0\r\n*0\r\n"}
    command = re.compile(rb"\*\d+\r\n\$\d+\r\n(\w+)")

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                connection, _ = listener.accept()
                with connection:
                    while asked := connection.recv(65536):
                        answer = "".join(answers.get(name, "+OK\r\n") for name in command.findall(asked))
                        connection.sendall(answer.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0?protocol=2"


@pytest.mark.parametrize(("version", "refused"), [("5.0.14", True), ("6.0.9", True), ("6.2.0", False), ("8.1", False)])
def test_a_redis_that_is_too_old_is_refused(version: str, refused: bool) -> None:
    with server_of(version) as url, settings.using(redis_url=url):
        if not refused:
            redis_checks.require_ours()
            return
        with pytest.raises(
            Conflict, match=rf"^Redis {version} is not supported\. REDIS_URL must point to Redis 6\.2 or later\.$"
        ):
            redis_checks.require_ours()


def test_a_redis_with_data_of_other_software_is_refused_and_an_unavailable_one_is_not(
    redis: Redis, tmp_path: Path
) -> None:
    redis.set("nametag:version:1", "x")
    redis.set("instagram:profile:1:2", "x")
    redis.set("rq:workers", "x")
    redis_checks.require_ours()
    redis.set("celery\x1b[2J", "x")
    with pytest.raises(Conflict, match=r"for example celery\\x1b\[2J\)"):
        redis_checks.require_ours()
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        redis_checks.require_ours()
