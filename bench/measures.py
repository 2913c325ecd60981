"""Figures of real processes: each function yields figures with a baseline from the same run."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar
from itertools import count
from pathlib import Path

from sqlalchemy import text

from app import settings
from bench import load, setup
from bench.load import Request
from tests.support.installation import EMAIL, PASSWORD, Installation
from tests.support.processes import answers, children, free_port
from tests.support.waiting import until
from tests.support.webhooks import signed_headers

ACCOUNT = "17841400000000101"
PROFILE_MS = 150
NEWCOMERS = 60
RATE, SECONDS = 50.0, 20.0
GREENLET_MIB = 1  # SQLAlchemy loads greenlet where it is installed: with the packages of the tests, not in production
CONVERSATIONS = 10_000
CONVERSATIONS_READ = 300
ROUNDS = 5
HELLO_MS = 0.8  # p95 of the hello page on the machine of docs/performance.md; limits in hello pages are ms there
NAMED = "SELECT 1 FROM identities WHERE ig_participant_id = :person AND username IS NOT NULL"
WITHOUT_PICTURE = (
    "SELECT count(*) FROM identities i LEFT JOIN avatars a ON a.identity_id = i.id"
    " WHERE i.picture_url IS NOT NULL AND a.tried_at IS NULL"
)
WAITING = "SELECT count(*) FROM identities WHERE username IS NULL AND last_error IS NULL"
_numbers = count(1)
CONVERSATION = (
    "INSERT INTO conversations (account_id, ig_participant_id, known, unread_count, first_message_at, last_message_at,"
    " last_message_mid, last_message_kind, last_message_preview, last_message_outgoing)"
    " VALUES (:account_id, :who, true, 0, :at, :at, 'm', 'text', 'Thank you very much', false)"
)
IDENTITY = (
    "INSERT INTO identities (account_id, ig_participant_id, username, first_seen_at)"
    " VALUES (:account_id, :who, :username, :at)"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure with its unit and limit; without a limit it is shown for comparison.

    The limit is the most it may be, or with `least` the least.
    """

    what: str
    value: float
    limit: float | None
    unit: str
    least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the figure is within its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit


def demo_start(folder: Path) -> Iterator[Figure]:
    """Measure the time from `nametag up --demo` in an empty folder to the sign-in page in a browser's window."""
    port = free_port()
    began = time.perf_counter()
    variables = settings.environment(NAMETAG_DATA_DIR=str(folder / "demo"), PORT=str(port))
    command = [sys.executable, "-m", "app.cli.main", "up", "--demo"]
    demo = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/login"), "the demo answers", 30)
        yield Figure("demo ready in the browser", time.perf_counter() - began, 5, "s")
    finally:
        demo.terminate()
        demo.wait(30)


def names(nametag: Installation) -> Iterator[Figure]:
    """Measure from the webhook's 200 to the username in the database, for new contacts one after another."""
    waits = []
    for person in setup.nameable(nametag.sandbox, ACCOUNT, NEWCOMERS):
        body = delivery((person, "Hello"))
        request = Request("POST", "/webhooks/instagram", body, signed(body, nametag))
        answered = load.in_turn(nametag.web.url, request, times=1)[0].at
        until(partial(nametag.value, NAMED, person=person), f"{person} is named", 10)
        waits.append(load.Answered(200, time.perf_counter() - answered, answered))
    yield Figure("webhook's 200 to the name in the database, p95", load.times_of(waits).p95, 500, "ms")
    yield Figure("  baseline: the profile API itself", PROFILE_MS, None, "ms")


def webhooks(nametag: Installation, baseline: str) -> Iterator[Figure]:
    """Compare signed deliveries at 50 per second, 10% of them repeated, with bare INSERTs at the same rate."""
    bare = load.at_rate(baseline, inserts(), per_second=RATE, seconds=SECONDS)
    ours = load.at_rate(nametag.web.url, deliveries(nametag), per_second=RATE, seconds=SECONDS)
    assert {answer.status for answer in ours} == {200}
    times, floor = load.times_of(ours), load.times_of(bare)
    yield Figure("webhook 200 at 50 events/s, p99 in bare INSERTs", times.p99 / floor.p99, 13, "x")
    yield Figure("webhook 200 at 50 events/s, p99", times.p99, None, "ms")
    yield Figure("webhook 200 at 50 events/s, p50", times.p50, None, "ms")
    yield Figure("  baseline: a bare INSERT at 50/s, p99", floor.p99, None, "ms")


def pages(nametag: Installation, baseline: str) -> Iterator[Figure]:
    """Measure the list with 10,000 conversations and an unchanged poll, each beside a minimal route."""
    until(lambda: nametag.value(WAITING) == 0, "every contact was looked up", 120)
    until(lambda: nametag.value(WITHOUT_PICTURE) == 0, "every picture was fetched", 180)
    _fill(nametag)
    url, cookie = nametag.web.url, sign_in(nametag.web.url)
    page = Request("GET", f"/inbox?account={ACCOUNT}", headers=(("Cookie", cookie),))
    polling = (("Cookie", cookie), ("HX-Request", "true"), ("If-None-Match", etag(url, cookie)))
    poll = Request("GET", f"/inbox/list?account={ACCOUNT}", headers=polling)
    hello, listed, polled = [], [], []
    for _ in range(ROUNDS):
        hello += load.in_turn(baseline, Request("GET", "/hello"), times=60)
        listed += load.in_turn(url, page, times=60)
        polled += load.in_turn(url, poll, times=60)
    assert {answer.status for answer in listed} == {200}
    assert {answer.status for answer in polled} == {304}
    yield from in_hello_pages("list page with 10,000 conversations", listed, hello, limit_ms=40)
    yield from in_hello_pages("unchanged poll", polled, hello, limit_ms=5)
    yield Figure("  baseline: hello on the same kind of server, p95", load.times_of(hello).p95, None, "ms")


def in_hello_pages(
    what: str, ours: Sequence[load.Answered], hello: Sequence[load.Answered], *, limit_ms: float
) -> Iterator[Figure]:
    """Compare the p95 with that of the hello page, measured in turn; `limit_ms` is where hello takes HELLO_MS."""
    p95 = load.times_of(ours).p95
    yield Figure(f"{what}, p95 in hello pages", p95 / load.times_of(hello).p95, limit_ms / HELLO_MS, "x")
    yield Figure("  in milliseconds, p95", p95, None, "ms")


def sync(nametag: Installation) -> Iterator[Figure]:
    """Measure the API calls of a sync of 1,000 conversations."""
    people = [person["id"] for person in nametag.sandbox.get(f"people?account={ACCOUNT}")][:CONVERSATIONS_READ]
    for person in people:
        nametag.sandbox.post("send", person=person)
    synced = json.loads(nametag.command("sync", "--account-id", ACCOUNT, "--json"))
    yield Figure("calls to sync 1,000 conversations", synced["calls"] * 1000 / synced["total"], 25, "")


def memory(nametag: Installation) -> Iterator[Figure]:
    """Measure memory after the load: the largest web process and the largest worker, then all of them together.

    Processes share what they loaded before a fork. Resident memory counts it in each, proportional memory once.
    """
    yield Figure("web process, resident", max(map(_resident, _web(nametag))), 110 + GREENLET_MIB, "MiB")
    yield Figure("  web server, all its processes, proportional", sum(map(_proportional, _web(nametag))), None, "MiB")
    yield Figure("worker, resident", workers_resident(nametag), 100 + GREENLET_MIB, "MiB")
    yield Figure("  largest worker, proportional", max(map(_proportional, _workers(nametag))), None, "MiB")


def cpu_seconds(nametag: Installation) -> float:
    """Return the CPU time that the web server has used."""
    fields = [Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split() for process in _web(nametag)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def _web(nametag: Installation) -> set[int]:
    return {nametag.web.id} | children(nametag.web.id)


def workers_resident(nametag: Installation) -> float:
    """Return the resident memory of the largest worker process in MiB, forks that run a task included."""
    return max(map(_resident, _workers(nametag)))


def _workers(nametag: Installation) -> set[int]:
    workers = {worker.id for worker in nametag.workers.values()}
    return workers | {child for worker in workers for child in children(worker)}


def sign_in(url: str, email: str = EMAIL) -> str:
    """Sign in with the form; return the session's Cookie header."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    form = browser.open(f"{url}/login").read().decode()
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert found, "the sign-in form has a token"
    fields = {"csrf_token": found[1], "email": email, "password": PASSWORD}
    browser.open(urllib.request.Request(f"{url}/login", data=urllib.parse.urlencode(fields).encode())).read()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def deliveries(nametag: Installation, *, among: int | None = None) -> Iterator[Request]:
    """Yield signed deliveries of one message each, every tenth one twice, of contacts with a username."""
    people = setup.nameable(nametag.sandbox, ACCOUNT, among)
    last: Request | None = None
    for number in count():
        if last is None or number % 10:
            body = delivery((people[number % len(people)], f"Message {number}"))
            last = Request("POST", "/webhooks/instagram", body, signed(body, nametag))
        yield last


def inserts() -> Iterator[Request]:
    """Yield the baseline's requests, each as large as a delivery."""
    while True:
        yield Request("POST", "/insert", b"x" * 700)


def delivery(*said: tuple[str, str]) -> bytes:
    """Return the raw body of one POST with one message per pair of contact and text."""
    now_ms = time.time_ns() // 1_000_000
    items = [
        {
            "sender": {"id": person},
            "recipient": {"id": ACCOUNT},
            "timestamp": now_ms,
            "message": {"mid": f"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEO{now_ms}x{next(_numbers):0110d}", "text": words},
        }
        for person, words in said
    ]
    return json.dumps({"object": "instagram", "entry": [{"id": ACCOUNT, "time": now_ms, "messaging": items}]}).encode()


def signed(body: bytes, nametag: Installation) -> tuple[tuple[str, str], ...]:
    """Return the headers that Meta sends with `body`."""
    return tuple(signed_headers(body, nametag.app_secret).items())


def _fill(nametag: Installation) -> None:
    account_id = nametag.value("SELECT id FROM accounts WHERE ig_account_id = :id", id=ACCOUNT)
    rows = [
        {
            "account_id": account_id,
            "who": f"16{number:014d}",
            "at": f"2026-10-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}:00.000000",
            "username": f"person.{number}",
        }
        for number in range(CONVERSATIONS)
    ]
    with nametag.database.begin() as connection:
        for statement in (CONVERSATION, IDENTITY):
            connection.execute(text(statement), rows)


def etag(url: str, cookie: str, *, account: str = ACCOUNT) -> str:
    """Return with which word the page of an account polls its list."""
    request = urllib.request.Request(
        f"{url}/inbox/list?account={account}", headers={"Cookie": cookie, "HX-Request": "true"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["ETag"])


def _resident(process_id: int) -> float:
    return _rollup(process_id, "Rss")


def _proportional(process_id: int) -> float:
    return _rollup(process_id, "Pss")


def _rollup(process_id: int, name: str) -> float:
    try:
        text_ = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # a job's process that has ended
    found = re.search(rf"^{name}:\s+(\d+) kB", text_, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
