"""A PgBouncer in front of PostgreSQL, in transaction mode: each transaction uses another connection."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import URL

from app import parent_death
from tests.support import postgresql
from tests.support.processes import free_port
from tests.support.requirement import missing
from tests.support.waiting import until

CONNECTIONS = 3


@dataclass
class PgBouncer:
    """A PgBouncer that a test kills and starts again. `url` is that of the database through it."""

    url: URL
    _command: list[str]
    _popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return once it answers."""
        self._popen = subprocess.Popen(
            self._command,
            stderr=subprocess.DEVNULL,
            preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
            **postgresql.unprivileged(),
        )
        until(lambda: _answers(self.url), "PgBouncer answers")

    def kill(self) -> None:
        """Kill it with all its connections."""
        if self._popen:
            self._popen.kill()
            self._popen.wait(10)


@contextmanager
def running(database: URL, **configuration: str) -> Iterator[PgBouncer]:
    """Run PgBouncer in transaction mode for one block, in front of `database`."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nt-bouncer-") as name:
        file = _configured(Path(name), port, database, configuration)
        url = URL.create("postgresql+psycopg", "nametag", None, "127.0.0.1", port, database.database)
        bouncer = PgBouncer(url, [binary or missing("there is no PgBouncer"), "-q", str(file)])
        try:
            bouncer.start()
            yield bouncer
        finally:
            bouncer.kill()


@contextmanager
def in_front_of(database: URL, **configuration: str) -> Iterator[URL]:
    """Run PgBouncer in transaction mode for one block; yield the URL of `database` through it."""
    with running(database, **configuration) as bouncer:
        yield bouncer.url


def _configured(folder: Path, port: int, database: URL, configuration: dict[str, str]) -> Path:
    host = database.query.get("host") or database.host
    chosen = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": str(CONNECTIONS),
        "server_round_robin": "1",
        **configuration,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in chosen.items())
    file = folder / "pgbouncer.ini"
    password = f" password={database.password}" if database.password else ""
    place = f"host={host} port={database.port or 5432} user={database.username}{password}"
    file.write_text(f"[databases]\n* = {place}\n[pgbouncer]\n{lines}")
    folder.chmod(0o755)
    return file


def _answers(url: URL) -> bool:
    try:
        psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)).close()
    except psycopg.OperationalError:
        return False
    return True
