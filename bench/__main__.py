"""`python -m bench [PART …]`: measure the figures of docs/performance.md on this machine, as `make bench` does.

Exit 1 if one misses its limit, or a part ends with an error; the other parts are measured all the same.
"""

import argparse
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
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


def main(*arguments: str) -> int:
    """Measure, print each figure, and return the exit status."""
    chosen = _parser().parse_args(arguments)
    kept = True
    for name in chosen.parts or PARTS:
        with TemporaryDirectory(prefix="nt-bench-") as folder:
            try:
                for figure in PARTS[name](Path(folder), chosen.contacts):
                    print(_line(figure), flush=True)
                    kept = kept and figure.kept
            except Exception:
                traceback.print_exc()
                print(f"{name}: ended with an error", flush=True)
                kept = False
    return 0 if kept else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the figures of docs/performance.md.")
    parser.add_argument(
        "parts", nargs="*", choices=list(PARTS), metavar="PART", help=f"{', '.join(PARTS)}; default: all"
    )
    parser.add_argument(
        "--contacts", type=int, default=million.CONTACTS, help="of the large account; fewer to see that it works"
    )
    return parser


def _line(figure: Figure) -> str:
    limit = f"{'at least' if figure.least else 'at most'} {figure.limit:g} {figure.unit}" if figure.limit else ""
    verdict = "" if figure.limit is None else "kept" if figure.kept else "MISSED"
    return f"{figure.what:<72} {figure.value:>8.2f} {figure.unit:<4} {limit:<16} {verdict}"


def _inbox(folder: Path, _: int) -> Iterator[Figure]:
    yield from measures.demo_start(folder)
    with _on_sqlite(folder) as (nametag, baseline):
        yield from measures.names(nametag)
        yield from measures.webhooks(nametag, baseline)
        yield from measures.pages(nametag, baseline)
        yield from measures.memory(nametag)
        yield from screen.speed(nametag, baseline)
        yield from measures.sync(nametag)


def _webhooks(folder: Path, _: int) -> Iterator[Figure]:
    with _on_sqlite(folder) as (nametag, baseline):
        yield from ingest.speed(nametag, baseline, on="SQLite")
        yield from ingest.size(nametag, on="SQLite", most_bytes=450)
    with _on_postgresql(folder) as (nametag, baseline):
        yield from ingest.speed(nametag, baseline, on="PostgreSQL")
        yield from ingest.size(nametag, on="PostgreSQL", most_bytes=550)


def _backfill(folder: Path, _: int) -> Iterator[Figure]:
    with _on_sqlite(folder, *backfill.SANDBOX) as (nametag, _baseline):
        yield from backfill.backfill(nametag, on="SQLite")
    with _on_postgresql(folder, *backfill.SANDBOX) as (nametag, _baseline):
        yield from backfill.backfill(nametag, on="PostgreSQL")


def _search(folder: Path, _: int) -> Iterator[Figure]:
    with _on_sqlite(folder) as (nametag, baseline):
        yield from search.speed(nametag, baseline, on="SQLite")
    with _on_postgresql(folder) as (nametag, baseline):
        yield from search.speed(nametag, baseline, on="PostgreSQL")


def _access(folder: Path, _: int) -> Iterator[Figure]:
    with _on_sqlite(folder) as (nametag, baseline):
        yield from authorization.speed(nametag)
        yield from authorization.authorization(nametag)
        yield from unauthenticated.unknown_email_addresses()
        yield from unauthenticated.slow_clients(nametag, folder)
        yield from unauthenticated.guesses(nametag, baseline)  # last, because sign-ins from here are refused afterwards


def _jobs(folder: Path, _: int) -> Iterator[Figure]:
    with _hours(folder / "mixed") as nametag:
        yield from mixed_load.mixed(nametag)
    with _served(folder / "scale", f"sqlite:///{folder / 'scale.sqlite3'}"):
        yield from scale.even()


def _operations(folder: Path, _: int) -> Iterator[Figure]:
    with _on_sqlite(folder) as (nametag, baseline):
        yield from operations.speed(nametag, baseline, on="SQLite")
    with _on_postgresql(folder) as (nametag, baseline):
        yield from operations.speed(nametag, baseline, on="PostgreSQL")


def _million(folder: Path, contacts: int) -> Iterator[Figure]:
    yield from _of_account(folder / "million", f"sqlite:///{folder / 'million.sqlite3'}", contacts, on="SQLite")
    with postgresql.server(durable=True) as server:
        address = databases.address(postgresql.create(server, "million"))
        yield from _of_account(folder / "million-on-postgresql", address, contacts, on="PostgreSQL")


def _of_account(folder: Path, address: str, contacts: int, *, on: str) -> Iterator[Figure]:
    with _served(folder, address) as chosen, Processes(folder) as processes:
        million.fill(contacts)
        nametag = installation.started(processes, chosen, queues=())
        with _baseline(address) as baseline:
            yield from million.speed(nametag, baseline, on=on, contacts=contacts)
        yield from exports.exports(nametag, contacts=contacts, on=on)


PARTS: Mapping[str, Callable[[Path, int], Iterator[Figure]]] = {
    "inbox": _inbox,
    "webhooks": _webhooks,
    "backfill": _backfill,
    "search": _search,
    "access": _access,
    "jobs": _jobs,
    "operations": _operations,
    "million": _million,
}


@contextmanager
def _on_sqlite(folder: Path, *sandbox_options: str) -> Iterator[tuple[Installation, str]]:
    with _installed(folder / "sqlite", f"sqlite:///{folder / 'nametag.sqlite3'}", *sandbox_options) as both:
        yield both


@contextmanager
def _on_postgresql(folder: Path, *sandbox_options: str) -> Iterator[tuple[Installation, str]]:
    with postgresql.server(durable=True) as server:
        address = databases.address(postgresql.create(server, "bench"))
        with _installed(folder / "postgresql", address, *sandbox_options) as both:
            yield both


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
    sys.exit(main(*sys.argv[1:]))
