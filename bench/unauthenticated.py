"""The cost of unauthenticated clients for others: slow clients in front of nginx, and password guesses."""

import re
import statistics
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from urllib.parse import urlsplit

from app.users import passwords, sign_in, users
from app.viewer import OPERATOR, Role
from bench import load, measures
from bench.load import Answered, Request
from bench.measures import ACCOUNT, Figure
from tests.support import proxy, slow
from tests.support.installation import Installation

SLOW_SECONDS = 20.0
GUESSES_A_SECOND = 100.0
GUESSING_SECONDS = 3.0
ROUNDS = 4
NAMES = 50


def slow_clients(nametag: Installation, folder: Path) -> Iterator[Figure]:
    """Hold 200 clients that never finish a header and 200 that never finish a body for twenty seconds."""
    session = measures.sign_in(nametag.web.url)
    hooks: list[Answered] = []
    pages: list[Answered] = []
    port = urlsplit(nametag.web.url).port or 0
    with proxy.in_front_of(port, folder / "nginx") as front, slow.clients(front, headers=200, bodies=200):
        until = time.monotonic() + SLOW_SECONDS
        for request in measures.deliveries(nametag):
            hooks.append(_through(front, request))
            pages.append(_through(front, Request("GET", "/inbox", headers=(("Cookie", session),))))
            if time.monotonic() > until:
                break
    assert {answer.status for answer in hooks + pages} == {200}
    yield Figure("400 slow clients: webhook through the proxy, p95", load.times_of(hooks).p95, 1000, "ms")
    yield Figure("400 slow clients: the inbox through it, longest", load.times_of(pages).longest, 2000, "ms")


def guesses(nametag: Installation, baseline: str) -> Iterator[Figure]:
    """Send a hundred wrong sign-ins per second, each for another email address, while a user reads the inbox.

    In turn with as many requests to the bare app, so that what sending them takes is in both.
    """
    reader = Request("GET", f"/inbox?account={ACCOUNT}", headers=(("Cookie", measures.sign_in(nametag.web.url)),))
    url, ratios = nametag.web.url, []
    for _ in range(ROUNDS):
        beside_nothing, _ = _read_beside(url, reader, baseline, repeat(Request("GET", "/hello")))
        beside_guesses, answers = _read_beside(url, reader, url, _guesses(url))
        assert {answer.status for answer in answers} <= {401, 422, 429}
        ratios.append(load.times_of(beside_guesses).p50 / load.times_of(beside_nothing).p50)
    yield Figure("100 wrong sign-ins/s: the inbox takes, p50", sorted(ratios)[ROUNDS // 2], 1.2, "x")


def unknown_email_addresses() -> Iterator[Figure]:
    """Compare wrong passwords of fifty users and of fifty unknown email addresses, in turn, inside the app."""
    known, unknown = ([f"{kind}{number}@example.com" for number in range(NAMES)] for kind in ("known", "unknown"))
    for email in known:
        users.add_user(OPERATOR, email, role=Role.AGENT, password=passwords.generate())
    took = [[_checking(email) for email in pair] for pair in zip(known, unknown, strict=True)]
    present, absent = (statistics.median(times) for times in zip(*took, strict=True))
    yield Figure("wrong sign-in of an unknown user, off a known one's", 100 * abs(absent / present - 1), 10, "%")


def _checking(email: str) -> float:
    began = time.perf_counter()
    assert sign_in.authenticate(email, "not this one either") is None
    return time.perf_counter() - began


def _read_beside(
    url: str, reader: Request, busy: str, requests: Iterator[Request]
) -> tuple[list[Answered], list[Answered]]:
    answers: list[Answered] = []

    def send() -> None:
        answers.extend(load.at_rate(busy, requests, per_second=GUESSES_A_SECOND, seconds=GUESSING_SECONDS, clients=4))

    sending = threading.Thread(target=send)
    sending.start()
    read: list[Answered] = []
    while sending.is_alive():
        read += load.in_turn(url, reader, times=10)
    return read, answers


def _guesses(url: str) -> Iterator[Request]:
    cookie, token = _form(url)
    headers = (("Cookie", cookie), ("Content-Type", "application/x-www-form-urlencoded"))
    for number in count():
        fields = {"email": f"guess{number}@example.com", "password": "not this one either", "csrf_token": token}
        yield Request("POST", "/login", urllib.parse.urlencode(fields).encode(), headers)


def _form(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(f"{url}/login") as form:
        cookie = str(form.headers["Set-Cookie"]).partition(";")[0]
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.read().decode())
    assert found, "the sign-in form has a token"
    return cookie, found[1]


def _through(front: int, request: Request) -> Answered:
    status, seconds = slow.ask(front, request.method, request.path, request.body, dict(request.headers))
    return Answered(status, seconds, time.perf_counter())
