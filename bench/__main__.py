"""`make bench`: measure every figure of docs/performance.md on this machine. Exit 1 if one misses its limit.

`python -m bench webhooks` measures only the deliveries at full speed, which takes about three minutes.
`python -m bench million` measures only the account of a million contacts, on both databases; `python -m bench million
20000` one of 20,000, to see that it works. `python -m bench operations` measures only the pages of operations, on both
databases, in about four minutes, and `python -m bench memory 20000` the memory of processes and exports.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app import settings
from app.db import migrate
from app.factory import create_app
from app.settings import Settings
from bench import (
    authorization,
    backfill,
    exports,
    ingest,
    measures,
    million,
    mixed_load,
    operations,
    scale,
    screen,
    search,
    unauthenticated,
)
from bench.measures import Figure
from tests.support import databases, installation, postgresql
from tests.support.installation import Installation
from tests.support.processes import Processes, answers, free_port
from tests.support.waiting import until

CALLS_PER_HOUR = "100000"  # the API call budget is not measured here


def main() -> int:
    """Measure, print each figure, and return the exit status."""
    kept = True
    with TemporaryDirectory(prefix="nt-bench-") as name:
        for figure in _chosen(Path(name), *sys.argv[1:]):
            bound = "at least" if figure.least else "at most"
            limit = f"{bound} {figure.limit:g} {figure.unit}" if figure.limit else ""
            verdict = "" if figure.limit is None else "kept" if figure.kept else "MISSED"
            print(f"{figure.what:<72} {figure.value:>8.2f} {figure.unit:<4} {limit:<16} {verdict}", flush=True)
            kept = kept and figure.kept
    return 0 if kept else 1


def _chosen(folder: Path, only: str = "", contacts: str = str(million.CONTACTS)) -> Iterator[Figure]:
    if only == "webhooks":
        return _webhooks(folder)
    if only == "operations":
        return _operations(folder)
    if only == "memory":
        return _memory(folder, int(contacts))
    return _million(folder, int(contacts)) if only == "million" else _figures(folder)


def _figures(folder: Path) -> Iterator[Figure]:
    yield from measures.demo_start(folder)
    with _installed(folder / "sqlite", f"sqlite:///{folder / 'nametag.sqlite3'}") as (nametag, baseline):
        yield from measures.names(nametag)
        yield from measures.webhooks(nametag, baseline)
        yield from measures.pages(nametag, baseline)
        yield from measures.memory(nametag)
        yield from screen.speed(nametag, baseline)
        yield from measures.sync(nametag)
        yield from ingest.speed(nametag, baseline, on="SQLite")
        yield from ingest.size(nametag, on="SQLite", most_bytes=450)
        yield from search.speed(nametag, baseline, on="SQLite")
        yield from authorization.speed(nametag)
        yield from authorization.authorization(nametag)
        yield from unauthenticated.unknown_email_addresses()
        yield from unauthenticated.slow_clients(nametag, folder)
        yield from unauthenticated.guesses(nametag, baseline)  # last, because sign-ins from here are refused afterwards
    yield from _backfill(folder / "backfill", f"sqlite:///{folder / 'backfill.sqlite3'}", on="SQLite")
    with _hours(folder / "mixed") as nametag:
        yield from mixed_load.mixed(nametag)
    with _served(folder / "scale", f"sqlite:///{folder / 'scale.sqlite3'}"):
        yield from scale.even()
    with postgresql.server() as server:
        address = databases.address(postgresql.create(server, "bench"))
        with _installed(folder / "postgresql", address) as (nametag, baseline):
            yield from ingest.speed(nametag, baseline, on="PostgreSQL")
            yield from ingest.size(nametag, on="PostgreSQL", most_bytes=550)
            yield from search.speed(nametag, baseline, on="PostgreSQL")
        address = databases.address(postgresql.create(server, "backfill"))
        yield from _backfill(folder / "backfill-on-postgresql", address, on="PostgreSQL")
    yield from _operations(folder)
    yield from _million(folder, million.CONTACTS)


def _operations(folder: Path) -> Iterator[Figure]:
    with _installed(folder / "operations", f"sqlite:///{folder / 'operations.sqlite3'}") as (nametag, baseline):
        yield from operations.speed(nametag, baseline, on="SQLite")
    with postgresql.server() as server:
        address = databases.address(postgresql.create(server, "operations"))
        with _installed(folder / "operations-on-postgresql", address) as (nametag, baseline):
            yield from operations.speed(nametag, baseline, on="PostgreSQL")


def _million(folder: Path, contacts: int) -> Iterator[Figure]:
    yield from _of_account(folder / "million", f"sqlite:///{folder / 'million.sqlite3'}", contacts, on="SQLite")
    with postgresql.server() as server:
        address = databases.address(postgresql.create(server, "million"))
        yield from _of_account(folder / "million-on-postgresql", address, contacts, on="PostgreSQL")


def _of_account(folder: Path, address: str, contacts: int, *, on: str) -> Iterator[Figure]:
    with _served(folder, address) as chosen, Processes(folder) as processes:
        million.fill(contacts)
        nametag = installation.started(processes, chosen, queues=())
        with _baseline(address) as baseline:
            yield from million.speed(nametag, baseline, on=on, contacts=contacts)
        yield from exports.exports(nametag, contacts=contacts, on=on)


def _memory(folder: Path, contacts: int) -> Iterator[Figure]:
    address = f"sqlite:///{folder / 'memory.sqlite3'}"
    with _served(folder / "memory", address) as chosen, Processes(folder / "memory") as processes:
        options = ("--latency-ms", str(measures.PROFILE_MS), "--calls-per-hour", CALLS_PER_HOUR)
        processes.variables["GRAPH_CALLS_PER_HOUR"] = CALLS_PER_HOUR
        nametag = installation.started(processes, chosen, *options)
        yield from exports.working(nametag)
        million.fill(contacts)  # afterwards: its unknown contacts would keep the workers busy
        yield from exports.exports(nametag, contacts=contacts, on="SQLite")


def _webhooks(folder: Path) -> Iterator[Figure]:
    with _installed(folder / "sqlite", f"sqlite:///{folder / 'nametag.sqlite3'}") as (nametag, baseline):
        yield from ingest.speed(nametag, baseline, on="SQLite")
    yield from _backfill(folder / "backfill", f"sqlite:///{folder / 'backfill.sqlite3'}", on="SQLite")
    with postgresql.server() as server:
        address = databases.address(postgresql.create(server, "bench"))
        with _installed(folder / "postgresql", address) as (nametag, baseline):
            yield from ingest.speed(nametag, baseline, on="PostgreSQL")
        address = databases.address(postgresql.create(server, "backfill"))
        yield from _backfill(folder / "backfill-on-postgresql", address, on="PostgreSQL")


def _backfill(folder: Path, address: str, *, on: str) -> Iterator[Figure]:
    with _installed(folder, address, *backfill.SANDBOX) as (nametag, _):
        yield from backfill.backfill(nametag, on=on)


@contextmanager
def _installed(folder: Path, address: str, *sandbox_options: str) -> Iterator[tuple[Installation, str]]:
    with _served(folder, address) as chosen, Processes(folder) as processes:
        processes.variables["GRAPH_CALLS_PER_HOUR"] = CALLS_PER_HOUR
        options = ("--latency-ms", str(measures.PROFILE_MS), "--calls-per-hour", CALLS_PER_HOUR, *sandbox_options)
        nametag = installation.started(processes, chosen, *options)
        with _baseline(address) as baseline:
            yield nametag, baseline


@contextmanager
def _hours(folder: Path) -> Iterator[Installation]:
    with _served(folder, f"sqlite:///{folder}.sqlite3") as chosen, Processes(folder) as processes:
        processes.ours = ("bench.short_hour", str(mixed_load.HOUR_SECONDS))
        processes.variables["GRAPH_CALLS_PER_HOUR"] = str(mixed_load.CALLS_PER_HOUR)
        limit = ("--calls-per-hour", str(mixed_load.CALLS_PER_HOUR), "--hour-seconds", str(mixed_load.HOUR_SECONDS))
        yield installation.started(
            processes, chosen, "--latency-ms", str(measures.PROFILE_MS), *limit, *mixed_load.SANDBOX
        )


@contextmanager
def _served(folder: Path, address: str) -> Iterator[Settings]:
    """Run a block inside an app on a migrated database and a private Redis."""
    folder.mkdir()
    redis = installation.redis_of(folder)
    try:
        ours = settings.using(database_url=address, redis_url=redis.address, nametag_data_dir=folder)
        with ours as chosen, create_app().app_context():
            migrate.upgrade()
            yield chosen
    finally:
        redis.stop()


@contextmanager
def _baseline(address: str) -> Iterator[str]:
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", *options, f"bench.baseline:create_app({address!r})"]
    server = subprocess.Popen(command)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/hello"), "the baseline answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    sys.exit(main())
