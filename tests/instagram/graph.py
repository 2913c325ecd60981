"""A small stand-in for Meta on a raw socket, for faults that no web server produces; and the sample responses."""

import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@dataclass(frozen=True)
class Request:
    """One received request: the path with its query as sent, and headers in lower case."""

    target: str
    headers: dict[str, str]


Say = Callable[[socket.socket, Request], None]


@dataclass
class Graph:
    """The server; set `say` to choose every response. `ended` is set when a client closed its connection."""

    say: Say
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """The base URL used in place of Meta's."""
        scheme, host = ("https", "localhost") if self.tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), self._secured(connection) as secured:
            while request := _read(secured):
                self.requests.append(request)
                self.say(secured, request)
        connection.close()
        self.ended.set()

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection


def answer(body: bytes | dict[str, Any], *, status: int = 200, **headers: str) -> bytes:
    """Return a complete response as bytes."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    named = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Any\r\n{head}\r\n".encode() + content


def always(wire: bytes) -> Say:
    """Respond to every call with the same bytes."""
    return lambda connection, _: connection.sendall(wire)


def and_close(wire: bytes) -> Say:
    """Send these bytes and close the connection."""

    def say(connection: socket.socket, _: Request) -> None:
        connection.sendall(wire)
        connection.shutdown(socket.SHUT_RDWR)

    return say


def dripping(begin: bytes, drop: bytes) -> Say:
    """Send `begin`, then `drop` ten times a second until the client closes the connection."""

    def say(connection: socket.socket, _: Request) -> None:
        connection.sendall(begin)
        gone = threading.Event()
        while not gone.wait(0.1):
            connection.sendall(drop)

    return say


def silent(connection: socket.socket, _: Request) -> None:
    """Accept the call and never respond."""
    connection.recv(1)


def reset(connection: socket.socket, _: Request) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def bomb(megabytes: int) -> bytes:
    """Return a response with a small gzip body that expands to a very large one."""
    packed = gzip.compress(b'{"id": "' + b" " * (megabytes * 1024 * 1024) + b'"}')
    return answer(packed, Content_Encoding="gzip")


def sample(name: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of a sample response."""
    recorded = json.loads((SAMPLES / f"graph-{name}.json").read_text())
    return recorded["status"], recorded["headers"], recorded["body"]


def sampled(name: str) -> bytes:
    """Return a sample response as bytes."""
    status, headers, body = sample(name)
    return answer(body, status=status, **headers)


def _read(connection: socket.socket) -> Request | None:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return None
        head += received
    first, *lines = head.decode().split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Request(first.split(" ")[1], headers)
