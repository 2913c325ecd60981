"""The web server as it is started: what it refuses on the wire, and what a flood of strangers does to it."""

import http.client
import socket
import statistics
import threading
from urllib.parse import urlsplit

import pytest

from tests.bed.installation import Installation
from tests.whole.conftest import Install
from tests.whole.test_faults import MESSAGES, post

HEAD = "POST /webhooks/instagram HTTP/1.1\r\nHost: x\r\n"
FLOOD = 2_000


@pytest.fixture
def nametag(install: Install) -> Installation:
    return install()


def said(nametag: Installation, request: str) -> tuple[bytes, bool]:
    """Send these very bytes; return the first line of the answer, and whether the connection was closed."""
    address = urlsplit(nametag.web.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        connection.sendall(request.encode())
        answer = b""
        try:
            while piece := connection.recv(4096):
                answer += piece
        except TimeoutError:
            return answer.partition(b"\r\n")[0], False
    return answer.partition(b"\r\n")[0], True


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_requests_that_two_servers_could_read_differently_are_refused(nametag: Installation) -> None:
    """S10."""
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
        assert said(nametag, request) == (b"HTTP/1.1 400 Bad Request", True), request


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_flood_of_unsigned_posts_writes_nothing_and_holds_nobody_up(nametag: Installation) -> None:
    """S8."""
    refused: list[int] = []

    def strangers() -> None:
        connection = http.client.HTTPConnection(urlsplit(nametag.web.url).netloc, timeout=30)
        for _ in range(FLOOD // 4):
            connection.request("POST", "/webhooks/instagram", b'{"object": "instagram"}')
            answer = connection.getresponse()
            answer.read()
            refused.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=strangers) for _ in range(4)]
    for thread in threads:
        thread.start()
    signed = [post(nametag) for _ in range(20)]
    for thread in threads:
        thread.join()
    assert (len(refused), set(refused)) == (FLOOD, {401})
    assert {status for status, _ in signed} == {200}
    assert statistics.quantiles([seconds for _, seconds in signed], n=20)[-1] < 1.0
    assert nametag.value(MESSAGES) == len(signed)
    assert nametag.value("SELECT count(*) FROM dead_letters") == 0
