"""Fetching pictures over real HTTP: allowed URLs, deadlines and limits."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.instagram import image_fetch
from app.instagram.image_fetch import NoImage
from tests.support.processes import Sandbox

PUBLIC = "157.240.0.1"


class Canary:
    """A server that sends one prepared response, a piece every `pause` seconds, and counts its connections."""

    def __init__(self, *answer: bytes, pause: float = 0.0) -> None:
        self.answer, self.pause, self.met = answer, pause, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on, and end the thread."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.met += 1
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.recv(4096)
        try:
            for piece in self.answer:
                connection.sendall(piece)
                time.sleep(self.pause)
        except OSError:
            return


@pytest.fixture
def canary() -> Iterator[Canary]:
    server = Canary(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    yield server
    server.close()


def test_a_picture_of_the_sandbox_is_fetched(meta: Sandbox) -> None:
    url = f"{meta.url}/media/avatar/1520000000000011.png?oe=7FFFFFFF"
    assert image_fetch.fetch(url, (meta.url.removeprefix("http://"),)).startswith(b"\x89PNG")


def test_a_url_that_is_not_allowed_causes_no_connection(canary: Canary) -> None:
    spellings = (
        *("http://{}/a.png", "https://{}/a.png", "http://x@{}/", "http://fbcdn.net@{}/", "http://{}\\@fbcdn.net/"),
        *(
            "//{}/a.png",
            "ftp://{}/",
            "gopher://{}/",
            "http://{}#fbcdn.net",
            "http://{}?fbcdn.net",
            "https://{}/fbcdn.net",
        ),
    )
    ways = ("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "0")
    for url in (
        *(spelling.format(canary.host) for spelling in spellings),
        *(f"{scheme}://{way}:{canary.port}/a.png" for way in ways for scheme in ("http", "https")),
        *(
            f"https://scontent.fbcdn.net{tail}"
            for tail in (".", ":22", f":{canary.port}", ".evil.example", "@127.0.0.1")
        ),
    ):
        with pytest.raises(NoImage):
            image_fetch.fetch(url, ("fbcdn.net",))
    assert canary.met == 0


def test_a_redirect_is_not_followed(canary: Canary) -> None:
    sending = Canary(f"HTTP/1.1 302 Found\r\nLocation: http://{canary.host}/\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(NoImage, match="302"):
        image_fetch.fetch(f"http://{sending.host}/a.png", (sending.host, canary.host))
    sending.close()
    assert (sending.met, canary.met) == (1, 0)


@pytest.mark.parametrize("tale", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], [PUBLIC]], ids=["closed", "both", "changing"])
def test_dns_rebinding_causes_no_connection(canary: Canary, monkeypatch: pytest.MonkeyPatch, tale: list[str]) -> None:
    asked: list[str] = []

    def lie(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host == PUBLIC:
            raise socket.gaierror("no network")
        asked.append(host)
        found = tale if len(asked) == 1 else ["127.0.0.1"]  # the second lookup returns this machine
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (way, canary.port)) for way in found]

    monkeypatch.setattr(socket, "getaddrinfo", lie)
    monkeypatch.setenv("https_proxy", f"http://{canary.host}")
    with pytest.raises(NoImage):
        image_fetch.fetch("https://scontent.fbcdn.net/a.jpg", ("fbcdn.net",))
    assert canary.met == 0


def slow_lookup(_host: str, _port: int) -> list[str]:
    time.sleep(30)
    return [PUBLIC]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
DRIP = tuple(b"x" for _ in range(60))


@pytest.mark.parametrize(
    ("answer", "resolve"),
    [((HEAD, *DRIP), None), ((b"HTTP/1.1 200 OK\r\nX-Slow: ", *DRIP), None), ((HEAD,), slow_lookup)],
    ids=["body", "headers", "name lookup"],
)
def test_a_slow_response_has_one_total_deadline(
    answer: tuple[bytes, ...], resolve: Callable[[str, int], list[str]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (image_fetch.SECONDS, image_fetch.STEP_SECONDS) == (5.0, 2.0)
    monkeypatch.setattr(image_fetch, "SECONDS", 0.6)
    server = Canary(*answer, pause=0.1)
    url = "https://scontent.fbcdn.net/a.jpg" if resolve else f"http://{server.host}/a.png"
    began = time.monotonic()
    with pytest.raises(NoImage, match=r"longer than 0\.6 s"):
        image_fetch.fetch(url, (server.host, "fbcdn.net"), resolve=resolve)
    assert time.monotonic() - began < 3
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_200_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_incomplete_or_too_large_response_is_rejected(answer: bytes) -> None:
    server = Canary(answer)
    with pytest.raises(NoImage):
        image_fetch.fetch(f"http://{server.host}/a.png", (server.host,))
    server.close()
