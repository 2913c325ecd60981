"""Processes killed with SIGKILL: how soon all run again, and whether a job settles each contact once."""

import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis
from sqlalchemy import Connection, NullPool, create_engine, text

from app import queue, settings
from app.installation import PYTHON
from bench import setup
from bench.measures import ACCOUNT, Figure
from tests.support import databases, installation
from tests.support.installation import Installation
from tests.support.processes import Process, Processes, answers, children, free_port, part
from tests.support.waiting import until

PEOPLE = 400
KILLS = ("worker", "horse", "scheduler", "web") * 2 + ("worker", "horse")
CALLS_PER_HOUR = 2_000
LONG_AGO = timedelta(days=1)
RUN_QUEUE = queue.TASKS[queue.BACKFILL_SLICE].queue
OPEN = "SELECT count(*) FROM run_items WHERE state = 'todo'"
PARTS = (
    *(f"worker --queue {name}" for name in (RUN_QUEUE, "resolve-participants", "refresh-identities")),
    *("cli.main scheduler", "cli.main web", "unixsocket"),
)


def job_with_kills() -> Iterator[Figure]:
    """Run a job of 400 contacts with 10 kills and an emptied Redis: each is settled once, at most 10 extra calls."""
    with setup.installed("--people", "1200", "--latency-ms", "50", calls_per_hour=CALLS_PER_HOUR) as (nametag, redis):
        contacts = setup.nameable(nametag.sandbox, ACCOUNT, PEOPLE)
        setup.wrote(nametag.web.url, nametag.app_secret, contacts, ago=LONG_AGO)
        nametag.command("backfill-profiles", "--account-id", ACCOUNT)
        began = time.perf_counter()
        kinds = random.Random(5).sample(KILLS, len(KILLS))
        for place, kind in enumerate(kinds):
            _further(nametag, 15)
            _kill(nametag, kind)
            if place == len(kinds) // 2:
                Redis.from_url(redis.address).flushall()
        until(lambda: nametag.value("SELECT state FROM runs") == "done", "the run is done", 300)
        seconds = time.perf_counter() - began
        items = nametag.value("SELECT count(*) FROM run_items WHERE state IN ('resolved', 'fresh')")
        counted = nametag.value("SELECT resolved + fresh FROM runs")
        calls = [call for call in nametag.sandbox.get("calls") if call["kind"] == "profile"]
        yield Figure("contacts not settled, or not counted once", abs(PEOPLE - items) + abs(PEOPLE - counted), 0, "")
        yield Figure(f"profile calls for {PEOPLE} contacts over 10 kills", len(calls), PEOPLE + len(kinds), "")
        yield Figure("calls over Meta's limit", sum(call["over_limit"] for call in calls), 0, "")
        yield Figure("  the job took", seconds, None, "s")


def restarts() -> Iterator[Figure]:
    """After a kill of any process all run again within 2.5 bare starts, and an orphaned job resumes within 45 s."""
    with TemporaryDirectory(prefix="nt-goal-") as path, Processes(Path(path)) as processes:
        supervisor, url = _supervised(processes)
        database = create_engine(processes.variables["DATABASE_URL"], poolclass=NullPool)
        gaps = [(_gap(supervisor, url, words), words) for words in (*PARTS, *PARTS[:3], "cli.main web")]
        longest, words = max(gaps)
        bare = statistics.median(_bare_start() for _ in range(3))
        yield Figure("longest of 10 until all processes run, in bare starts", longest / bare, 2.5, "x")
        yield Figure(f"  in seconds ({words})", longest, None, "s")
        yield Figure("  baseline: Python loads the web app", bare, None, "s")
        with database.connect() as connection:
            settled = partial(_settled, connection)
            processes.nametag("backfill-profiles", "--account-id", ACCOUNT)
            until(lambda: settled() >= 10, "the job is running", 60)
            os.kill(part(supervisor, PARTS[0]), signal.SIGKILL)
            killed, before = time.perf_counter(), settled()
            until(lambda: settled() > before, "the orphaned job resumes", 60)
            yield Figure("an orphaned job resumes after", time.perf_counter() - killed, 45, "s")
        database.dispose()


def _bare_start() -> float:
    began = time.perf_counter()
    subprocess.run([*PYTHON, "-c", "import app.cli.main, app.cli.web"], check=True)
    return time.perf_counter() - began


def _further(nametag: Installation, people: int) -> None:
    before = nametag.value(OPEN)
    until(lambda: nametag.value(OPEN) <= max(0, before - people), f"{people} more contacts are settled", 90)


def _kill(nametag: Installation, kind: str) -> None:
    worker = nametag.workers[RUN_QUEUE]
    if kind == "worker":
        worker.end(signal.SIGKILL)
        nametag.start_worker(RUN_QUEUE)
    elif kind == "horse":
        os.kill(until(lambda: next(iter(children(worker.id)), 0), "a fork works", 60), signal.SIGKILL)
    elif kind == "scheduler":
        nametag.processes.named(kind)[-1].end(signal.SIGKILL)
        nametag.processes.scheduler()
    else:
        port = int(nametag.web.url.rpartition(":")[2])
        nametag.web.end(signal.SIGKILL)
        nametag.web = nametag.processes.web(port=port)


def _supervised(processes: Processes) -> tuple[Process, str]:
    sandbox = processes.sandbox("--people", "1200", "--latency-ms", "100", "--calls-per-hour", "100000")
    processes.variables |= {
        "DATABASE_URL": f"sqlite:///{processes.folder}/nametag.sqlite3",
        "META_APP_SECRETS": ",".join(sandbox.get("secrets")["app_secrets"]),
        "GRAPH_CALLS_PER_HOUR": "100000",
    }
    with settings.using(database_url=processes.variables["DATABASE_URL"]) as chosen:
        processes.variables["TOKEN_ENCRYPTION_KEYS"] = ",".join(chosen.token_encryption_keys)
        databases.upgrade(chosen.database_address)
        installation.connect_accounts(sandbox)
    supervisor = processes.start("up", PORT=str(free_port()), WORKERS="1")
    url = supervisor.await_line("Nametag is ready: ", 60).rpartition(" ")[2]
    until(lambda: _all_run(supervisor, url), "everything runs", 60)
    contacts = setup.nameable(sandbox, ACCOUNT, PEOPLE)
    setup.wrote(url, processes.variables["META_APP_SECRETS"], contacts, ago=LONG_AGO)
    return supervisor, url


def _gap(supervisor: Process, url: str, words: str) -> float:
    first = part(supervisor, words)
    ended = {0, first, *children(first)}  # its children outlive it for a moment, and are the supervisor's then
    os.kill(first, signal.SIGKILL)
    began = time.perf_counter()
    until(lambda: part(supervisor, words) not in ended and _all_run(supervisor, url), f"{words} is back", 60)
    return time.perf_counter() - began


def _all_run(supervisor: Process, url: str) -> bool:
    return all(part(supervisor, words) for words in PARTS) and answers(f"{url}/login")


def _settled(connection: Connection) -> int:
    connection.rollback()
    return int(connection.execute(text("SELECT count(*) FROM run_items WHERE state <> 'todo'")).scalar_one())
