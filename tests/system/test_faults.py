"""A failing database, disk, Redis or web server: requests are answered in time, nothing is lost, work resumes."""

import os
import re
import resource
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis
from sqlalchemy import text

from app import change_tokens, queue, settings
from bench.measures import sign_in
from tests.support import databases, installation, postgresql
from tests.support.installation import Installation
from tests.support.processes import Processes, Web, answers, children
from tests.support.waiting import until
from tests.system.conftest import Install
from tests.system.deliveries import MESSAGES, post, send

LONGEST_SECONDS = 3.5  # two for other writers, one for a lock, and time of this machine
PAGE_SECONDS = 1.5
NAMED_SECONDS = 5.0
MANY = 20  # more than there is room for


def posts(nametag: Installation, number: int = 8) -> list[tuple[int, float]]:
    """Deliver `number` messages, four at a time."""
    answers: list[tuple[int, float]] = []

    def some() -> None:
        answers.extend(post(nametag) for _ in range(number // 4))

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_locked_database_answers_503_in_time_and_stores_nothing_partly(install: Install, database: str) -> None:
    nametag = install(queues=())
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = posts(nametag)
    other.rollback()
    other.close()
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < LONGEST_SECONDS
    assert nametag.value(MESSAGES) == 0
    assert post(nametag)[0] == 200


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_locked_database_leaves_threads_for_pages(install: Install, database: str) -> None:
    nametag = install(queues=())
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(24) as pool:
        waiting = [pool.submit(post, nametag) for _ in range(24)]
        until(lambda: sum(each.done() for each in waiting) >= 8, "excess deliveries are refused")
        pages = [_seconds(lambda: send(nametag, "/login")) for _ in range(5)]
        refused = [each.result() for each in waiting]
    other.rollback()
    other.close()
    assert {status for status, _ in refused} == {503}
    assert max(seconds for _, seconds in refused) < LONGEST_SECONDS
    assert max(pages) < PAGE_SECONDS
    assert post(nametag)[0] == 200


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_locked_row_delays_only_its_own_conversation(install: Install) -> None:
    nametag = install(queues=())
    assert post(nametag)[0] == 200
    with nametag.database.begin() as other, ThreadPoolExecutor(12) as pool:
        other.execute(text("SELECT id FROM conversations FOR UPDATE"))
        stopped = [pool.submit(post, nametag) for _ in range(8)]
        others = [pool.submit(post, nametag, sender=f"17000000{number:08d}") for number in range(30)]
        answers = [each.result() for each in others]
        refused = [each.result() for each in stopped]
    assert {status for status, _ in answers} == {200}
    assert {status for status, _ in refused} == {503}
    assert max(seconds for _, seconds in answers + refused) < LONGEST_SECONDS
    assert post(nametag)[0] == 200


def _seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_full_disk_refuses_deliveries_and_pages_still_work(install: Install, database: str) -> None:
    """A limit on the file's size stands in for a full disk."""
    nametag = install(queues=())
    assert post(nametag)[0] == 200
    with _full_disk(nametag, Path(database.removeprefix("sqlite:///"))):
        answers = posts(nametag, MANY)
        assert send(nametag, "/login") == 200
    kept = sum(status == 200 for status, _ in answers)
    assert {status for status, _ in answers} <= {200, 503}
    assert kept < MANY
    assert max(seconds for _, seconds in answers) < LONGEST_SECONDS
    until(lambda: post(nametag)[0] == 200, "the disk has space again", 10)
    assert nametag.value(MESSAGES) == kept + 2


@pytest.mark.timeout(120)
def test_deliveries_resume_after_postgresql_restarts(processes: Processes, redis_server: str, tmp_path: Path) -> None:
    with postgresql.own_server() as server:
        address = databases.address(postgresql.create(server, "faults"))
        with settings.using(database_url=address, redis_url=redis_server) as chosen:
            databases.upgrade(address)
            nametag = installation.started(processes, chosen, queues=())
        assert post(nametag)[0] == 200
        postgresql.halt(server)
        answers = posts(nametag)
        assert {status for status, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < LONGEST_SECONDS
        postgresql.resume(server)
        until(lambda: post(nametag)[0] == 200, "the database is used again", 10)
        assert nametag.value(MESSAGES) >= 2


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_poll_shows_what_a_killed_web_server_committed(install: Install, redis: Redis) -> None:
    nametag = install(queues=())
    change_tokens.mark_changed([1])
    nametag.processes.ours = ("tests.support.unreported_commands",)
    doomed = nametag.processes.web()
    session = sign_in(nametag.web.url)

    shown = _poll(nametag.web, session, None)[1]
    assert _poll(nametag.web, session, shown)[0] == 304
    assert post(nametag, to=doomed)[0] == 200
    assert _poll(nametag.web, session, shown)[0] == 304  # wrong until the other web server notices the end
    os.killpg(doomed.id, signal.SIGKILL)
    until(lambda: _poll(nametag.web, session, shown)[0] == 200, "the other web server shows it", 6)

    doomed = nametag.processes.web()

    def hides_a_message() -> str | None:  # not while the end of the other web server is still being reported
        shown = _poll(doomed, session, None)[1]
        assert post(nametag, to=doomed)[0] == 200
        return shown if _poll(doomed, session, shown)[0] == 304 else None

    shown = until(hides_a_message, "a poll that does not show what was committed")
    [worker] = children(doomed.id)
    os.kill(worker, signal.SIGKILL)
    until(lambda: children(doomed.id) - {worker} and answers(doomed.url), "gunicorn starts another worker")
    assert _poll(doomed, session, shown)[0] == 200


def _poll(web: Web, session: str, etag: str | None) -> tuple[int, str | None]:
    headers = {"Cookie": session, "HX-Request": "true"} | ({"If-None-Match": f'W/"{etag}"'} if etag else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{web.url}/inbox/list", headers=headers)) as answer:
            found = re.search(r'If-None-Match&?[^\\]*\\"([^\\]+)\\"', answer.read().decode())
            return answer.status, found[1] if found else None
    except urllib.error.HTTPError as unchanged:
        unchanged.close()
        return unchanged.code, etag


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_workers_look_contacts_up_as_soon_as_redis_is_back(install: Install) -> None:
    with TemporaryDirectory(prefix="nt-") as folder:
        redis = installation.redis_of(Path(folder))
        try:
            nametag = install(redis_url=redis.address, queues=(queue.TASKS[queue.RESOLVE].queue,))
            until(lambda: nametag.value("SELECT 1 FROM heartbeats WHERE part = 'scheduler'"), "the scheduler runs")
            redis.stop()
            assert post(nametag)[0] == 200
            redis.start()
            until(lambda: nametag.value("SELECT username FROM identities"), "the contact has a name", NAMED_SECONDS)
        finally:
            redis.stop()


@contextmanager
def _full_disk(nametag: Installation, database: Path) -> Iterator[None]:
    """Let the web server grow no file beyond the present size of the write-ahead log."""
    log = database.with_name(database.name + "-wal")
    allowed = max(file.stat().st_size for file in (log, database) if file.exists())
    workers = _children(nametag.web.id)
    for worker in workers:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _children(process_id: int) -> list[int]:
    child_ids = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(child) for child in child_ids.split()]
