"""Servers that collect what alert receivers are sent: HTTP requests, and email by SMTP."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpSink:
    """The requests that arrived: body and headers. Answers with `status`, after `release` is set."""

    url: str = ""
    status: int = 200
    requests: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    """Yield a running HTTP server."""
    found = HttpSink()
    found.release.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((body, {name.lower(): value for name, value in self.headers.items()}))
            found.release.wait(30)
            try:
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            except OSError:
                return  # the client gave up

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/alerts"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        found.release.set()
        server.shutdown()
        server.server_close()


@dataclass
class SmtpSink:
    """The emails that arrived. Recipients are refused while `refuses`."""

    url: str = ""
    refuses: bool = False
    messages: list[EmailMessage] = field(default_factory=list)


@contextmanager
def smtp_sink() -> Iterator[SmtpSink]:
    """Yield a running SMTP server (RFC 5321, without extensions)."""
    found = SmtpSink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink")
            while line := self.rfile.readline():
                command = line.decode().strip().upper()
                if command == "DATA":
                    self._say("354 go on")
                    found.messages.append(self._message())
                    self._say("250 stored")
                elif command == "QUIT":
                    self._say("221 bye")
                    return
                elif command.startswith("RCPT") and found.refuses:
                    self._say("550 no such user")
                else:
                    self._say("250 sink")

        def _message(self) -> EmailMessage:
            lines = list(iter(self.rfile.readline, b".\r\n"))
            message = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(message, EmailMessage)
            return message

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"smtp://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
