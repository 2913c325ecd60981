"""The HTTP server: Graph API, pictures and control routes on one loopback port."""

import json
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from app.sandbox import faults, graph, media, meter, oauth
from app.sandbox.control import BadRequest, Control, is_local
from app.sandbox.errors import error
from app.sandbox.faults import Faults
from app.sandbox.graph import GraphRequest
from app.sandbox.sender import Sender
from app.sandbox.world import World

BODY_BYTES = 1_000_000


class Server(ThreadingHTTPServer):
    """An HTTP server with one thread per connection."""

    daemon_threads = True
    request_queue_size = 256
    world: World
    faults: Faults
    sender: Sender
    control: Control


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout: ClassVar[float] = 60

    def setup(self) -> None:
        """Disable Nagle's algorithm, so that small responses are sent immediately."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because URLs can contain tokens."""

    def do_GET(self) -> None:
        """Handle a GET request."""
        self._serve("GET")

    def do_POST(self) -> None:
        """Handle a POST request."""
        self._serve("POST")

    def do_PATCH(self) -> None:
        """Handle a PATCH request."""
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        """Handle a DELETE request."""
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        parts = tuple(unquote(part) for part in url.path.strip("/").split("/"))
        query, body = dict(parse_qsl(url.query)), self._body()
        if parts[0] == "_sandbox":
            self._control(method, "/".join(parts[1:]), query, body)
        elif parts[0] == "media" and len(parts) == 3:
            self._picture(parts[1], parts[2])
        elif parts[0] in graph.HOSTS and parts[-2:] in oauth.PAGES:
            self._consent(parts[0], query)
        elif parts[0] in graph.HOSTS:
            self._graph(method, parts, query, body)
        else:
            self._answer(404, {"error": "The sandbox serves /instagram, /facebook, /media and /_sandbox."})

    def _control(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        if not is_local(self.client_address[0], self.headers.get("Host", "")):
            self._answer(403, {"error": "Control routes are available on this machine only."})
            return
        try:
            self._answer(200, self.server.control.handle(method, path, query, body))
        except BadRequest as refused:
            self._answer(400, {"error": f"{refused}."})
        except KeyError:
            self._answer(404, {"error": "Unknown control route."})

    def _picture(self, kind: str, name: str) -> None:
        body = media.picture(kind, name.removesuffix(".png"))
        self._write(200, body, {"Content-Type": "image/png", "Cache-Control": "public, max-age=86400"})

    def _consent(self, host: str, query: dict[str, str]) -> None:
        status, body, headers = oauth.consent(self.server.world, host, query)
        self._write(status, body.encode(), headers)

    def _graph(self, method: str, parts: tuple[str, ...], query: dict[str, str], body: dict[str, Any]) -> None:
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        path = parts[2:] if len(parts) > 1 and parts[1].startswith("v") else parts[1:]
        token = bearer or query.get("access_token")
        request = GraphRequest(parts[0], path, query, token, "access_token" in query, method, body)
        world = self.server.world
        route = oauth.route(world, request) or graph.route(world, request, self._echo)
        mode = self.server.faults.take(route.account.id if route.account else None, route.kind)
        time.sleep(world.choices.latency_ms / 1000)
        refused = meter.limited(world, route)
        status, answer = refused or (error(mode) if mode and faults.is_error(mode) else route.answer())
        if mode and not faults.is_error(mode) and not refused:
            meter.note(world, request, route, 0, None, over=False)
            faults.play(mode, self, answer)
            return
        meter.note(world, request, route, status, answer, over=bool(refused))
        self._answer(status, answer, meter.usage_headers(world, route.account, over=bool(refused)))

    def _echo(self, account: Any, contact: Any, text: str, reply_to: str | None) -> Any:
        return self.server.sender.say(account, contact, text=text, outgoing=True, reply_to=reply_to)

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(min(length, BODY_BYTES)) if length else b""
        try:
            found = json.loads(raw) if raw else {}
        except ValueError:
            found = dict(parse_qsl(raw.decode("latin-1")))
        return found if isinstance(found, dict) else {}

    def _answer(self, status: int, found: Any, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        self._write(status, json.dumps(found).encode(), kind | (headers or {}))

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client closed the connection
