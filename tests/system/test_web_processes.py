"""One web server with two processes: deliveries, polls, sign-in limits and jobs do not depend on which one answers."""

import http.client
import os
import re
import signal
import ssl
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from redis import Redis

from app import clock, settings
from tests.factories import a_delivery, a_message_event
from tests.support import installation
from tests.support.installation import EMAIL, PASSWORD, Installation
from tests.support.processes import Processes, children
from tests.support.waiting import until
from tests.support.webhooks import signature_of
from tests.system.deliveries import post, send
from tests.system.test_two_web_servers import WRONG

DELIVERIES, CONTACTS, AT_ONCE = 60, 12, 6


@pytest.fixture
def nametag(processes: Processes, database: str, redis_server: str) -> Installation:
    """Nametag with two web processes and without workers."""
    processes.variables["WEB_PROCESSES"] = "2"
    with settings.using(database_url=database, redis_url=redis_server) as chosen:
        started = installation.started(processes, chosen, queues=())
    until(lambda: len(children(started.web.id)) == 2, "two processes run")
    return started


@contextmanager
def answered_by(nametag: Installation, number: int) -> Iterator[None]:
    """Let only this process of the web server answer in the block."""
    both = sorted(children(nametag.web.id))
    os.kill(both[1 - number], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(both[1 - number], signal.SIGCONT)


@dataclass
class Browser:
    """A browser that opens a connection for each request and keeps cookies; `tls` is for an https `url`."""

    url: str
    tls: ssl.SSLContext | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
        """Return status, ETag and body."""
        host = urlsplit(self.url).netloc
        connection = http.client.HTTPConnection(host, timeout=20)
        if self.tls:
            connection = http.client.HTTPSConnection(host, timeout=20, context=self.tls)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Referer": self.url}
        if body:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers["ETag"] or "", text

    def sign_in(self, password: str = PASSWORD) -> int:
        """Send the form; return the status."""
        _, _, form = self.request("GET", "/login")
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
        assert found
        fields = {"csrf_token": found[1], "email": EMAIL, "password": password}
        return self.request("POST", "/login", urllib.parse.urlencode(fields))[0]


@pytest.mark.usefixtures("redis")
def test_two_processes_store_and_count_each_delivery_once(nametag: Installation) -> None:
    bodies = [
        a_delivery(a_message_event(f"17000000{number % CONTACTS:08d}", mid=f"twice-{number}"))
        for number in range(DELIVERIES)
        for _ in range(2)
    ]

    def deliver(body: bytes) -> int:
        return send(nametag, "/webhooks/instagram", body, signature_of(body, nametag.app_secret))

    for process in (0, 1):
        with answered_by(nametag, process):
            assert deliver(bodies[0]) == 200
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(deliver, bodies)) == {200}
    assert nametag.value("SELECT count(*) FROM messages") == DELIVERIES
    assert nametag.value("SELECT sum(unread_count) FROM conversations") == DELIVERIES
    assert nametag.rows(WRONG) == []
    assert nametag.value("SELECT count(*) FROM dead_letters") == 0


@pytest.mark.usefixtures("redis")
def test_a_poll_of_one_process_sees_what_the_other_stored(nametag: Installation) -> None:
    browser = Browser(nametag.web.url)
    assert browser.sign_in() == 303
    assert post(nametag, "Bonjour")[0] == 200

    def unchanged() -> str:
        with answered_by(nametag, 0):
            status, tag, _ = browser.request("GET", "/inbox/list", HX_Request="true")
        assert status == 200
        with answered_by(nametag, 1):
            status, _, _ = browser.request("GET", "/inbox/list", HX_Request="true", If_None_Match=tag)
        return tag if status == 304 else ""

    tag = until(unchanged, "both processes give the same answer while nothing changes")
    with answered_by(nametag, 1):
        assert post(nametag, "A second message")[0] == 200

    def changed() -> bool:
        with answered_by(nametag, 0):
            status, _, page = browser.request("GET", "/inbox/list", HX_Request="true", If_None_Match=tag)
        return status == 200 and "A second message" in page

    until(changed, "the first process shows the second's message")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_both_processes_count_the_same_sign_in_attempts(nametag: Installation, redis: Redis) -> None:
    for process in (0, 1, 0, 1):
        with answered_by(nametag, process):
            assert Browser(nametag.web.url).sign_in("wrong password") == 401
    [counter] = [key for key in redis.scan_iter("nametag:sign-in:*") if redis.type(key) == b"hash"]
    assert redis.hget(counter, "failures") == b"4"
    redis.hset(counter, "open_at", int(clock.now().timestamp()) + 600)  # as after many more
    for process in (0, 1):
        with answered_by(nametag, process):
            assert Browser(nametag.web.url).sign_in() == 429


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_live_panel_of_one_process_shows_a_job_that_the_other_started_and_canceled(nametag: Installation) -> None:
    browser = Browser(nametag.web.url)
    assert browser.sign_in() == 303
    assert post(nametag)[0] == 200
    with answered_by(nametag, 0):
        token = re.search(r'"X-CSRFToken": "([^"]+)"', browser.request("GET", "/jobs")[2])
        assert token
        secured = {"X_CSRFToken": token[1], "HX_Request": "true"}
        assert browser.request("POST", "/jobs/backfill", "batch_size=10", **secured)[0] < 400
    run = nametag.value("SELECT id FROM runs")
    with answered_by(nametag, 1):
        assert f"/jobs/{run}/cancel" in browser.request("GET", "/jobs/live", HX_Request="true")[2]
        assert browser.request("POST", f"/jobs/{run}/cancel", **secured)[0] < 400
    with answered_by(nametag, 0):
        assert f"/jobs/{run}/cancel" not in browser.request("GET", "/jobs/live", HX_Request="true")[2]


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_killed_process_is_replaced_while_the_other_answers(nametag: Installation) -> None:
    first, second = sorted(children(nametag.web.id))
    os.kill(first, signal.SIGKILL)
    assert post(nametag)[0] == 200
    until(lambda: len(children(nametag.web.id) - {first}) == 2, "a new process runs")
    assert second in children(nametag.web.id)
    assert nametag.web.end() == 0
