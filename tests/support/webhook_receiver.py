"""A web server that collects the sandbox's webhook deliveries."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest


@dataclass
class Receiver:
    """The deliveries received; they are refused while `status` is not 200."""

    url: str = ""
    status: int = 200
    posts: list[tuple[bytes, str]] = field(default_factory=list)

    def items(self) -> list[dict[str, Any]]:
        """Return every item accepted so far."""
        entries = [entry for body, _ in self.posts for entry in json.loads(body)["entry"]]
        return [item for entry in entries for item in entry["messaging"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running web server for the sandbox's deliveries."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status == 200:
                found.posts.append((body, self.headers["X-Hub-Signature-256"]))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/webhooks/instagram"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()
