"""The fail-fast client: a Redis that is away costs next to nothing."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from app import clock, redis_client, settings
from app.errors import Conflict
from app.redis_client import RedisAway
from app.supervisor import redis_server
from app.supervisor.processes import Keeper


@pytest.mark.row("F5")
def test_a_refused_connection_fails_at_once(redis: Redis, tmp_path: Path) -> None:
    began = clock.monotonic()
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"), pytest.raises(RedisAway):
        redis_client.client().ping()
    assert clock.monotonic() - began < 0.2


@pytest.mark.row("F6")
def test_a_frozen_server_costs_half_a_second_once(tmp_path: Path) -> None:
    address = settings.redis_socket_path(tmp_path)
    keeper = Keeper(log=tmp_path / "redis.log", say=print)
    keeper.start(redis_server.program(tmp_path, address))
    try:
        keeper.await_ready("redis")
        with settings.using(redis_url=f"unix://{address}?db=0"):
            client = redis_client.client()
            client.ping()
            subprocess.run(["kill", f"-{signal.SIGSTOP.value}", str(keeper.process_id("redis"))], check=True)
            began = clock.monotonic()
            with pytest.raises(RedisAway):
                client.ping()
            assert clock.monotonic() - began < 1.0
            began = clock.monotonic()
            pipeline = client.pipeline()
            pipeline.get("nametag:any")
            with pytest.raises(RedisAway):
                pipeline.execute()
            with pytest.raises(RedisAway):
                client.ping()
            assert clock.monotonic() - began < 0.2
    finally:
        subprocess.run(["kill", f"-{signal.SIGCONT.value}", str(keeper.process_id("redis"))], check=True)
        keeper.stop()


@contextmanager
def server_of(version: str) -> Iterator[str]:
    """An old server, as far as it is asked: it says its version and has no keys."""
    told = f"# Server\r\nredis_version:{version}\r\n"
    answers = {b"INFO": f"${len(told)}\r\n{told}\r\n", b"SCAN": "*2\r\n$1\r\n0\r\n*0\r\n"}

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while asked := connection.recv(4096):
                word = next((word for word in answers if word in asked), None)
                connection.sendall((answers[word] if word else "+OK\r\n" * asked.count(b"*")).encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0?protocol=2"


@pytest.mark.row("F9")
@pytest.mark.parametrize(("version", "refused"), [("5.0.14", True), ("6.0.9", True), ("6.2.0", False), ("8.1", False)])
def test_a_redis_that_is_too_old_is_refused(version: str, refused: bool) -> None:
    with server_of(version) as url, settings.using(redis_url=url):
        if not refused:
            redis_client.require_ours()
            return
        with pytest.raises(Conflict, match=rf"^REDIS_URL leads to Redis {version}; it should be at least 6\.2\.$"):
            redis_client.require_ours()


@pytest.mark.row("F9")
def test_a_redis_with_data_of_others_is_refused_and_one_that_is_away_is_not(redis: Redis, tmp_path: Path) -> None:
    redis.set("nametag:version:1", "x")
    redis.set("instagram:profile:1:2", "x")
    redis.set("rq:workers", "x")
    redis_client.require_ours()
    redis.set("celery\x1b[2J", "x")
    with pytest.raises(Conflict, match=r"such as celery\\x1b\[2J\)"):
        redis_client.require_ours()
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        redis_client.require_ours()
