"""Slow clients: TLS connections whose requests never complete, one byte a second each."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

DRIP_SECONDS = 1.0
ADDRESS = "127.0.0.1"
HEADER = b"GET /inbox HTTP/1.1\r\nHost: nametag.example\r\nX-Slow: "
BODY = b"POST /webhooks/instagram HTTP/1.1\r\nHost: nametag.example\r\nContent-Length: 4000\r\n\r\n{"


def trusting() -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
    """Make one ordinary request on a connection of its own; return the status and the duration in seconds."""
    began = time.monotonic()
    connection = http.client.HTTPSConnection(ADDRESS, port, timeout=10, context=trusting())
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.monotonic() - began


@contextmanager
def clients(port: int, *, headers: int, bodies: int) -> Iterator[None]:
    """Hold connections that send a header, and others that send a body, byte by byte while the block runs."""
    with ExitStack() as open_ones:
        context, held = trusting(), []
        for beginning in [HEADER] * headers + [BODY] * bodies:
            plain = socket.create_connection((ADDRESS, port), timeout=10)
            connection = open_ones.enter_context(context.wrap_socket(plain))
            connection.sendall(beginning)
            held.append(connection)
        over = threading.Event()
        dripping = threading.Thread(target=_drip, args=(held, over))
        dripping.start()
        try:
            yield
        finally:
            over.set()
            dripping.join()


def _drip(held: list[ssl.SSLSocket], over: threading.Event) -> None:
    while not over.wait(DRIP_SECONDS):
        for connection in list(held):
            try:
                connection.sendall(b"x")
            except OSError:  # closed by the server after its timeout, as expected
                held.remove(connection)
