"""Fetching pictures over real HTTP: what is brought, and what is given up in time."""

import socket
import threading
from collections.abc import Iterator

import pytest

from app.instagram import pictures
from app.instagram.addresses import RefusedAddress
from app.instagram.pictures import NoPicture
from tests.bed.processes import Sandbox


class Canary:
    """A server that sends one prepared answer to everyone, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.met = answer, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.met += 1
            with connection:
                connection.recv(4096)
                connection.sendall(self.answer)


@pytest.fixture
def canary() -> Iterator[Canary]:
    server = Canary(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    yield server
    server.listener.close()


def test_a_picture_of_the_sandbox_is_brought(meta: Sandbox) -> None:
    url = f"{meta.url}/media/avatar/1520000000000011.png?oe=7FFFFFFF"
    assert pictures.fetch(url, (meta.url.removeprefix("http://"),)).startswith(b"\x89PNG")


def test_what_is_not_allowed_meets_nobody(canary: Canary) -> None:
    for url in (f"http://{canary.host}/a.png", f"https://{canary.host}/a.png", f"http://x@{canary.host}/"):
        with pytest.raises(RefusedAddress):
            pictures.fetch(url, ("fbcdn.net",))
    assert canary.met == 0


def test_a_redirect_is_not_followed(canary: Canary) -> None:
    sending = Canary(f"HTTP/1.1 302 Found\r\nLocation: http://{canary.host}/\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(NoPicture, match="302"):
        pictures.fetch(f"http://{sending.host}/a.png", (sending.host, canary.host))
    sending.listener.close()
    assert canary.met == 0


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
def test_what_is_no_whole_picture_of_at_most_2_mib_is_given_up(answer: bytes) -> None:
    server = Canary(answer)
    with pytest.raises(NoPicture):
        pictures.fetch(f"http://{server.host}/a.png", (server.host,))
    server.listener.close()
