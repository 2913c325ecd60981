"""The web server under hostile clients: ambiguous requests, floods, large bodies, slow connections, guesses."""

import gzip
import http.client
import json
import random
import re
import socket
import statistics
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from app import queue, settings
from app.core import create_core
from app.users import api_tokens
from app.viewer import OPERATOR
from bench.measures import sign_in
from tests.factories import a_delivery, a_message_event
from tests.support import databases, installation, leaks, proxy, slow
from tests.support.installation import EMAIL, PASSWORD, Installation
from tests.support.mutations import SAMPLES, bytes_mutated, with_valid_item
from tests.support.processes import Processes, children
from tests.support.signed_requests import a_signed_request
from tests.support.webhooks import signature_of
from tests.system.deliveries import MESSAGES, post

HEAD = "POST /webhooks/instagram HTTP/1.1\r\nHost: x\r\n"
FLOOD = 2_000
MUTATED = 1_000
MIB = 1024 * 1024
MOST_GROWTH = 32 * MIB
SLOW_SECONDS = 5.0
FIRST_LOAD_BYTES = 130_000
HOOK_SECONDS, PAGE_SECONDS = 2.0, 3.0


@pytest.fixture(scope="module")
def nametag(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: str
) -> Iterator[Installation]:
    """One installation for all tests of this module."""
    folder = tmp_path_factory.mktemp("installation")
    address = databases.copy_of(sqlite_template, folder)
    with Processes(folder) as processes, settings.using(database_url=address, redis_url=redis_server) as chosen:
        yield installation.started(processes, chosen, queues=(queue.TASKS[queue.RESOLVE].queue,))


def raw_answer(nametag: Installation, request: str, *, whole: bool = False) -> tuple[bytes, bool]:
    """Send these bytes, and no more if `whole`; return the answer's first line and whether the connection closed."""
    address = urlsplit(nametag.web.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        connection.sendall(request.encode())
        if whole:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(4096):
                answer += piece
        except TimeoutError:
            return answer.partition(b"\r\n")[0], False
    return answer.partition(b"\r\n")[0], True


def test_requests_that_two_servers_could_read_differently_are_refused(nametag: Installation) -> None:
    for request in (
        HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + "Content-Length: +5\r\n\r\nhello",
        HEAD + "Content-Length: -5\r\n\r\nhello",
        HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + "X: a\nContent-Length: 5\r\n\r\nhello",
        HEAD.replace("\r\n", "\n") + "Content-Length: 5\n\nhello",
    ):
        assert raw_answer(nametag, request) == (b"HTTP/1.1 400 Bad Request", True), request


CHUNKED = "Host: localhost\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BODIES = (
    *(
        f"{size}\r\nhello\r\n0\r\n\r\n"
        for size in ("-1", "0x5", "+5", "5_0", " 5", "g", "", "5\x00", "\u0665", "5;\x00=")
    ),
    *("5\r\nhello0\r\n\r\n", "5\r\nhel", "5\nhello\n0\n\n", "F" * 40 + "\r\nhello", "1" * 20_000),
    *("5\r\nhello\r\n0\r\nX: \x00\r\n\r\n", "5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
)


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/login", FORM),
        ("/webhooks/instagram", JSON),
        ("/webhooks/instagram/data-deletion", FORM),
        ("/api/workers/backfill-profiles", JSON),
    ],
)
def test_a_malformed_chunked_body_is_a_client_error_and_ends_the_connection(
    nametag: Installation, path: str, type_: str
) -> None:
    with databases.app_context_of(create_core()):
        token = api_tokens.create(OPERATOR, f"chunks for {path}", ["jobs"])
    head = f"POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{CHUNKED.format(type_)}"
    for body in BODIES:
        answer, closed = raw_answer(nametag, head + body, whole=True)
        assert re.match(rb"HTTP/1.1 4\d\d |$", answer), (body[:60], answer)
        assert closed, body[:60]


def test_odd_request_lines_and_headers_are_client_errors(nametag: Installation) -> None:
    for request in (
        *(
            f"{method} /login HTTP/1.1\r\nHost: x\r\n\r\n"
            for method in ("TRACE", "CONNECT", "PROPFIND", "get", "X" * 50)
        ),
        *(
            f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"
            for path in ("nowhere", "http://[/", "//[", "*", "/%", "/\u00e9", "/" * 9_000)
        ),
        *(
            f"GET /login HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"
            for header in ("X: \x00", "X y: 1", f"X: {'x' * 9_000}")
        ),
        "GET /login HTTP/1.1\r\nHost: x\r\n" + "X: 1\r\n" * 200 + "\r\n",
        *("GET /login HTTP/9.9\r\n\r\n", "GET /login\r\n\r\n", "\x16\x03\x01\r\n\r\n", "\r\n\r\n\r\n"),
    ):
        answer, _ = raw_answer(nametag, request, whole=True)
        assert re.match(rb"HTTP/1.[01] ([234]\d\d|501|505) |$", answer), (request[:60], answer)
    assert "Traceback" not in nametag.web.output()


@pytest.mark.parametrize("path", ["/login/oidc/back?state=x&code=", "/accounts/connected/facebook?state=x&code="])
def test_a_callback_with_a_code_of_4200_characters_is_answered_by_nametag(nametag: Installation, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(nametag.web.url).netloc, timeout=10)
    connection.request("GET", path + "c" * 4_200)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status in (303, 404)  # to the sign-in page; no provider is configured
    assert answer.headers["X-Request-Id"]


def test_a_flood_of_unsigned_posts_writes_nothing_and_delays_no_page(nametag: Installation) -> None:
    refused: list[int] = []
    messages, letters = nametag.value(MESSAGES), nametag.value("SELECT count(*) FROM dead_letters")

    def post_unsigned() -> None:
        connection = http.client.HTTPConnection(urlsplit(nametag.web.url).netloc, timeout=30)
        for _ in range(FLOOD // 4):
            connection.request("POST", "/webhooks/instagram", b'{"object": "instagram"}')
            answer = connection.getresponse()
            answer.read()
            refused.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=post_unsigned) for _ in range(4)]
    for thread in threads:
        thread.start()
    signed = [post(nametag) for _ in range(20)]
    for thread in threads:
        thread.join()
    assert (len(refused), set(refused)) == (FLOOD, {401})
    assert {status for status, _ in signed} == {200}
    assert statistics.quantiles([seconds for _, seconds in signed], n=20)[-1] < 1.0
    assert nametag.value(MESSAGES) == messages + len(signed)
    assert nametag.value("SELECT count(*) FROM dead_letters") == letters


def test_large_and_compressed_bodies_cost_no_memory(nametag: Installation) -> None:
    [worker] = children(nametag.web.id)
    inside = b" " * (4 * MIB)
    large, bomb = inside + b"x", gzip.compress(b" " * (64 * MIB))
    before = _resident(worker)
    for _ in range(3):
        for signed in (large, inside):  # a valid signature of the first 4 MiB must not admit the rest
            declared = {"Content-Length": str(len(large))}
            assert _send(nametag, [], signature_of(signed, nametag.app_secret), **declared) == 413  # before it is sent
            assert _send(nametag, [inside, b"x"], signature_of(signed, nametag.app_secret)) == 413
        packed = {"Content-Encoding": "gzip", "Content-Length": str(len(bomb))}
        assert _send(nametag, [bomb], signature_of(bomb, nametag.app_secret), **packed) == 415
    assert _peak(worker) - before < MOST_GROWTH
    assert post(nametag)[0] == 200


@pytest.fixture(params=sorted(proxy.PROXIES))
def proxy_name(request: pytest.FixtureRequest) -> str:
    """Each proxy of docs/deploy."""
    name: str = request.param
    return name


def test_slow_clients_delay_no_request_behind_a_proxy_of_the_examples(
    nametag: Installation, tmp_path: Path, proxy_name: str
) -> None:
    session = sign_in(nametag.web.url)
    port = urlsplit(nametag.web.url).port or 0
    with (
        proxy.in_front_of(port, tmp_path / "proxy", proxy_name) as front,
        slow.clients(front, headers=200, bodies=200),
    ):
        hooks, pages = [], []
        until = time.monotonic() + SLOW_SECONDS
        while time.monotonic() < until:
            body = a_delivery(a_message_event())
            signature = {"X-Hub-Signature-256": signature_of(body, nametag.app_secret)}
            hooks.append(slow.ask(front, "POST", "/webhooks/instagram", body, signature))
            pages.append(slow.ask(front, "GET", "/inbox", b"", {"Cookie": session}))
    assert {status for status, _ in hooks + pages} == {200}
    assert statistics.quantiles([seconds for _, seconds in hooks], n=20)[-1] <= HOOK_SECONDS
    assert max(seconds for _, seconds in pages) <= PAGE_SECONDS


def test_a_proxy_on_another_port_passes_the_port_on(nametag: Installation, tmp_path: Path, proxy_name: str) -> None:
    web = nametag.processes.web(PROXY_HOPS="1", TRUSTED_HOSTS="nametag.example")
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=slow.trusting()), urllib.request.HTTPCookieProcessor()
    )

    def ask(path: str, **form: str) -> str:
        body = urllib.parse.urlencode(form).encode() if form else None
        # An Origin without Sec-Fetch-Site, as browsers before 2023 send it.
        headers = {"Host": host, "Origin": f"https://{host}"}
        with opener.open(urllib.request.Request(f"https://127.0.0.1:{front}{path}", body, headers)) as answer:
            return str(answer.read().decode())

    with proxy.in_front_of(urlsplit(web.url).port or 0, tmp_path / "proxy", proxy_name) as front:
        host = f"nametag.example:{front}"
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', ask("/login"))
        assert token
        assert 'action="/logout"' in ask("/login", csrf_token=token[1], email=EMAIL, password=PASSWORD)
        with settings.using(meta_app_secrets=tuple(web_secrets(nametag))):
            request = a_signed_request("2600000000000999")
            deletion = json.loads(ask("/webhooks/instagram/data-deletion", signed_request=request))
    assert deletion["url"].startswith(f"https://{host}/")


def web_secrets(nametag: Installation) -> list[str]:
    return nametag.processes.variables["META_APP_SECRETS"].split(",")


def test_the_first_load_of_the_inbox_through_a_proxy_has_at_most_130_kb(
    nametag: Installation, tmp_path: Path, proxy_name: str
) -> None:
    session = sign_in(nametag.web.url)
    for number in range(60):  # more conversations than the first page shows
        assert post(nametag, sender=f"1700000000{number:06d}")[0] == 200
    port = urlsplit(nametag.web.url).port or 0
    with proxy.in_front_of(port, tmp_path / "proxy", proxy_name) as front:
        page, encoding = _compressed(front, "/inbox", session)
        assert encoding == "gzip"
        text = gzip.decompress(page).decode()
        assert text.count('class="row"') >= 20
        files = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', text))
        assert len(files) > 10
        sizes = {"/inbox": len(page)}
        for file in files:
            body, encoding = _compressed(front, file, session)
            sizes[file] = len(body)
            assert encoding == "gzip" or len(body) < 1400, file
        font = "/static/vendor/inter/inter-latin-wght-normal.woff2"  # that app.css loads for Latin letters
        body, encoding = _compressed(front, font, session)
        assert encoding is None
        assert sum(sizes.values()) + len(body) <= FIRST_LOAD_BYTES, sizes


def _compressed(front: int, path: str, session: str) -> tuple[bytes, str | None]:
    connection = http.client.HTTPSConnection(slow.ADDRESS, front, timeout=10, context=slow.trusting())
    headers = {"Host": "nametag.example", "Cookie": session, "Accept-Encoding": "gzip"}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body, answer.headers["Content-Encoding"]


def test_mutated_bodies_on_the_wire_never_make_it_fail(nametag: Installation) -> None:
    chance = random.Random(20261127)
    messages, valid, statuses = nametag.value(MESSAGES), 0, set()
    connection = http.client.HTTPConnection(urlsplit(nametag.web.url).netloc, timeout=30)
    for number in range(MUTATED):
        body = with_valid_item(chance.choice(SAMPLES), f"on-the-wire-{number}", chance) if number % 10 == 0 else None
        valid += body is not None
        body = body or bytes_mutated(chance.choice(SAMPLES), chance)
        signature = signature_of(body, nametag.app_secret) if number % 5 else "sha256=0"
        if number % 10 == 0:
            signature = signature_of(body, nametag.app_secret)
        connection.request("POST", "/webhooks/instagram", body, {"X-Hub-Signature-256": signature})
        answer = connection.getresponse()
        answer.read()
        statuses.add(answer.status)
    connection.close()
    assert statuses == {200, 400, 401}
    assert nametag.value("SELECT count(*) FROM messages WHERE mid LIKE 'on-the-wire-%'") == valid
    assert nametag.value(MESSAGES) >= messages + valid
    assert "Traceback" not in nametag.web.output()


def test_processes_show_no_secret_after_all_that(nametag: Installation, redis_server: str) -> None:
    known = nametag.processes.variables
    names = ("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "META_APP_SECRETS", "META_VERIFY_TOKEN")
    secrets = [secret for name in names for secret in known[name].split(",")] + [PASSWORD]
    secrets += [account["token"] for account in nametag.sandbox.get("accounts")]
    running = {nametag.web.id, nametag.sandbox.id} | {worker.id for worker in nametag.workers.values()}
    for process_id in running.union(*map(children, running)):
        command = Path(f"/proc/{process_id}/cmdline").read_bytes().decode(errors="replace")
        assert not any(secret in command for secret in secrets), command
    with Redis.from_url(redis_server) as redis:
        assert leaks.keys_with(redis, *secrets, "Bonjour") == set()
    assert leaks.files_with(nametag.processes.folder, *secrets) == set()
    logs = {process.name: process.output() for process in (nametag.web, *nametag.workers.values())}
    assert not any("Bonjour" in log or "lea.moreau" in log for log in logs.values())


def _send(nametag: Installation, pieces: list[bytes], signature: str, **more: str) -> int:
    """Post the pieces, in chunks unless a length is declared; return the status."""
    connection = http.client.HTTPConnection(urlsplit(nametag.web.url).netloc, timeout=30)
    chunked = "Content-Length" not in more
    framing = {"Transfer-Encoding": "chunked"} if chunked else {}
    headers = {"X-Hub-Signature-256": signature} | framing | more
    try:
        connection.request("POST", "/webhooks/instagram", iter(pieces), headers, encode_chunked=chunked)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _resident(process_id: int) -> int:
    return _memory(process_id, "VmRSS")


def _peak(process_id: int) -> int:
    return _memory(process_id, "VmHWM")


def _memory(process_id: int, which: str) -> int:
    found = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text())
    assert found
    return int(found[1]) * 1024
