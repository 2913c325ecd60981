"""Faults on demand: which calls fail, and what is sent instead of a response."""

import gzip
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from app.sandbox import errors

DRIP_SECONDS = 0.4
HANG_SECONDS = 30
HUGE_BYTES = 20 * 1024 * 1024


@dataclass(slots=True)
class Fault:
    """One fault: its mode, the share of calls it affects, and which calls; it ends after `count` calls."""

    mode: str
    share: float = 1.0
    account: str | None = None
    call: str | None = None
    count: int | None = None


@dataclass(slots=True)
class Faults:
    """The active faults."""

    present: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def switch_on(self, fault: Fault) -> None:
        """Add a fault; raises ValueError for an unknown mode."""
        if fault.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(sorted(MODES))}")
        with self.lock:
            self.present.append(fault)

    def switch_off(self) -> None:
        """Remove every fault."""
        with self.lock:
            self.present.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return the active faults."""
        with self.lock:
            return [asdict(fault) for fault in self.present]

    def take(self, account: str | None, call: str) -> str | None:
        """Return the mode of the fault for this call, or None, and count it."""
        with self.lock:
            for fault in self.present:
                if fault.account not in (None, account) or fault.call not in (None, call):
                    continue
                if fault.count == 0 or random.random() >= fault.share:
                    continue
                if fault.count is not None:
                    fault.count -= 1
                return fault.mode
        return None


def is_error(mode: str) -> bool:
    """Return whether a mode is one of Meta's error responses and not a network fault."""
    return mode in errors.NAMES


def play(mode: str, handler: BaseHTTPRequestHandler, answer: dict[str, Any]) -> int:
    """Apply a network fault to this connection; return the HTTP status that was sent, 0 for none."""
    handler.close_connection = True
    return _PLAYS[mode](handler, answer)


def _send(
    handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> int:
    usual = {"Content-Type": "application/json; charset=UTF-8", "Content-Length": str(len(body))}
    handler.send_response(status)
    for name, value in (usual | (headers or {})).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
    return status


def _reset(handler: BaseHTTPRequestHandler, _: Any) -> int:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    return 0


def _hang(_handler: BaseHTTPRequestHandler, _: Any) -> int:
    time.sleep(HANG_SECONDS)
    return 0


def _drip(handler: BaseHTTPRequestHandler, answer: Any) -> int:
    body = json.dumps(answer).encode()
    _send(handler, b"", headers={"Content-Length": str(len(body))})
    for byte in body:
        handler.wfile.write(bytes([byte]))
        time.sleep(DRIP_SECONDS)
    return 200


def _headers_malformed(handler: BaseHTTPRequestHandler, answer: Any) -> int:
    usage = {"X-App-Usage": "not-json", "X-Business-Use-Case-Usage": '{"1": 7}'}
    return _send(handler, json.dumps(answer).encode(), headers=usage)


def _swapped(handler: BaseHTTPRequestHandler, answer: Any) -> int:
    return _send(handler, json.dumps(answer | {"id": "1520000000009999"}).encode())


_PLAYS: dict[str, Callable[[BaseHTTPRequestHandler, dict[str, Any]], int]] = {
    "429": lambda handler, _: _send(handler, b"slow down", status=429, headers={"Retry-After": "60"}),
    "500": lambda handler, _: _send(handler, b"oops", status=500),
    "reset": _reset,
    "hang": _hang,
    "drip": _drip,
    "html": lambda handler, _: _send(handler, b"<html>Sorry</html>", headers={"Content-Type": "text/html"}),
    "malformed": lambda handler, _: _send(handler, b'{"id": "15'),
    "empty": lambda handler, _: _send(handler, b""),
    "array": lambda handler, _: _send(handler, b"[]"),
    "types": lambda handler, answer: _send(handler, json.dumps(dict.fromkeys(answer, 7)).encode()),
    "truncated": lambda handler, answer: _send(
        handler, json.dumps(answer).encode(), headers={"Content-Length": "5000"}
    ),
    "huge": lambda handler, _: _send(handler, b'{"id": "' + b"x" * HUGE_BYTES + b'"}'),
    "gzip-bomb": lambda handler, _: _send(
        handler, gzip.compress(b" " * HUGE_BYTES), headers={"Content-Encoding": "gzip"}
    ),
    "redirect": lambda handler, _: _send(handler, b"", status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "null": lambda handler, answer: _send(handler, json.dumps(dict.fromkeys(answer) | {"id": answer["id"]}).encode()),
    "swapped": _swapped,
    "headers-malformed": _headers_malformed,
}
MODES = errors.NAMES | _PLAYS.keys()
