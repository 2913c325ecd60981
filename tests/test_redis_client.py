"""The fail-fast client: an unavailable Redis takes almost no time."""

import signal
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from app import clock, redis_client, settings
from app.redis_client import RedisUnavailable
from app.supervisor import redis_server
from app.supervisor.processes import Supervisor


def test_a_refused_connection_fails_at_once(redis: Redis, tmp_path: Path) -> None:
    began = clock.monotonic()
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"), pytest.raises(RedisUnavailable):
        redis_client.client().ping()
    assert clock.monotonic() - began < 0.2


def test_a_frozen_server_costs_half_a_second_once(tmp_path: Path) -> None:
    address = settings.redis_socket_path(tmp_path)
    keeper = Supervisor(log=tmp_path / "redis.log", say=print)
    keeper.start(redis_server.program(tmp_path, address))
    try:
        keeper.await_ready("redis")
        with settings.using(redis_url=f"unix://{address}?db=0"):
            client = redis_client.client()
            client.ping()
            subprocess.run(["kill", f"-{signal.SIGSTOP.value}", str(keeper.process_id("redis"))], check=True)
            began = clock.monotonic()
            with pytest.raises(RedisUnavailable):
                client.ping()
            assert clock.monotonic() - began < 1.0
            began = clock.monotonic()
            pipeline = client.pipeline()
            pipeline.get("nametag:any")
            with pytest.raises(RedisUnavailable):
                pipeline.execute()
            with pytest.raises(RedisUnavailable):
                client.ping()
            assert clock.monotonic() - began < 0.2
    finally:
        subprocess.run(["kill", f"-{signal.SIGCONT.value}", str(keeper.process_id("redis"))], check=True)
        keeper.stop()
