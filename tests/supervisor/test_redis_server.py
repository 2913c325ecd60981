"""The private Redis server, with a real server."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app import settings
from app.supervisor import redis_server
from app.supervisor.processes import Supervisor
from app.supervisor.redis_server import RedisUnusable
from tests.support import leaks
from tests.support.waiting import until


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Supervisor]:
    kept = Supervisor(log=tmp_path / "log", say=print)
    yield kept
    kept.stop()


def started(keeper: Supervisor, data_dir: Path) -> Redis:
    socket = settings.redis_socket_path(data_dir)
    keeper.start(redis_server.program(data_dir, socket))
    keeper.await_ready("redis")
    return Redis(unix_socket_path=str(socket))


def test_the_server_is_ready_refuses_to_evict_and_writes_no_file(keeper: Supervisor, tmp_path: Path) -> None:
    client = started(keeper, tmp_path)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("port") == {"port": "0"}
    client.set("name", "lea.moreau")
    keeper.stop()
    assert leaks.files_with(tmp_path, "lea.moreau") == set()


def test_the_append_only_file_of_an_earlier_release_is_deleted(keeper: Supervisor, tmp_path: Path) -> None:
    started(keeper, tmp_path)
    keeper.stop()
    [folder] = (tmp_path / "redis").iterdir()
    (folder / "appendonlydir").mkdir()
    (folder / "appendonlydir" / "appendonly.aof.1.incr.aof").write_text("lea.moreau")
    assert started(keeper, tmp_path).ping()
    assert leaks.files_with(tmp_path, "lea.moreau") == set()


def test_a_killed_server_comes_back(keeper: Supervisor, tmp_path: Path) -> None:
    client = started(keeper, tmp_path)
    first = keeper.process_id("redis")
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        keeper.restart_exited()
        return keeper.process_id("redis") != first

    until(another, "another server runs")
    keeper.await_ready("redis")
    assert client.ping()


def test_a_second_server_on_the_same_files_is_refused(keeper: Supervisor, tmp_path: Path) -> None:
    started(keeper, tmp_path)
    with pytest.raises(RedisUnusable, match="Another Redis server already uses"):
        redis_server.program(tmp_path, tmp_path / "other.sock")


def test_the_lock_lasts_as_long_as_the_server_itself(keeper: Supervisor, tmp_path: Path) -> None:
    program = redis_server.program(tmp_path, tmp_path / "redis.sock")
    keeper.start(program)
    keeper.await_ready("redis")
    os.close(program.kept_files[0])  # as if the supervisor had died without its child
    with pytest.raises(RedisUnusable):
        redis_server.program(tmp_path, tmp_path / "redis.sock")
    os.dup2(os.open(os.devnull, os.O_RDONLY), program.kept_files[0])  # for the supervisor to close


def test_files_lie_in_a_folder_of_this_binary_and_major_version(keeper: Supervisor, tmp_path: Path) -> None:
    started(keeper, tmp_path)
    folders = [folder.name for folder in (tmp_path / "redis").iterdir()]
    assert len(folders) == 1
    name, _, major = folders[0].rpartition("-")
    assert name in redis_server.COMMANDS
    assert major.isdigit()


def test_the_socket_and_the_folders_are_the_owners_alone(keeper: Supervisor, tmp_path: Path) -> None:
    started(keeper, tmp_path)
    socket = settings.redis_socket_path(tmp_path)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "redis").stat().st_mode) == 0o700


def test_a_data_folder_with_a_very_long_path_still_works(keeper: Supervisor, tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 20) / ("longer" * 12)
    data_dir.mkdir(parents=True)
    assert started(keeper, data_dir).ping()


def test_no_binary_at_all_is_one_line_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "COMMANDS", ("no-such-server",))
    monkeypatch.setattr(redis_server, "BUNDLED", "no_such_package")
    with pytest.raises(RedisUnusable, match=r"^No Redis server found\. Install .*, or set REDIS_URL\.$"):
        redis_server.program(tmp_path, tmp_path / "redis.sock")


def test_a_binary_that_does_not_run_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho 'wrong machine' >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RedisUnusable, match=r"^Can't run .*redis-server: wrong machine$"):
        redis_server.program(tmp_path, tmp_path / "redis.sock")
