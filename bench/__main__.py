"""`make bench`: measures every figure of docs/performance.md on this machine; exit 1 when one is not kept."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app import settings
from app.db import migrate
from app.factory import create_app
from bench import measures
from bench.measures import Figure
from tests.bed import installation
from tests.bed.processes import Processes, answers, free_port
from tests.bed.waiting import until

CALLS_PER_HOUR = "100000"  # the budget is not what is measured here


def main() -> int:
    """Measure, print as it goes, and return the exit status."""
    kept = True
    with TemporaryDirectory(prefix="nt-bench-") as name:
        for figure in _figures(Path(name)):
            limit = f"at most {figure.limit:g} {figure.unit}" if figure.limit else ""
            verdict = "" if figure.limit is None else "kept" if figure.kept else "MISSED"
            print(f"{figure.what:<50} {figure.value:>8.1f} {figure.unit:<4} {limit:<16} {verdict}", flush=True)
            kept = kept and figure.kept
    return 0 if kept else 1


def _figures(folder: Path) -> Iterator[Figure]:
    yield from measures.demo_start(folder)
    redis = installation.redis_of(folder)
    address = f"sqlite:///{folder / 'nametag.sqlite3'}"
    try:
        with Processes(folder) as processes, _floor(folder) as floor:
            with settings.using(database_url=address, redis_url=redis.address, nametag_data_dir=folder) as chosen:
                with create_app().app_context():
                    migrate.upgrade()
                processes.variables["GRAPH_CALLS_PER_HOUR"] = CALLS_PER_HOUR
                options = ("--latency-ms", str(measures.PROFILE_MS), "--calls-per-hour", CALLS_PER_HOUR)
                nametag = installation.started(processes, chosen, *options)
            yield from measures.names(nametag)
            yield from measures.webhooks(nametag, floor)
            yield from measures.pages(nametag, floor)
            yield from measures.memory(nametag)
    finally:
        redis.stop()


@contextmanager
def _floor(folder: Path) -> Iterator[str]:
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", *options, f"bench.floor:create_app({str(folder)!r})"]
    server = subprocess.Popen(command)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/hello"), "the floor answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    sys.exit(main())
