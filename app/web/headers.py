"""Security headers and the request ID of every response, also of errors and static files."""

import re
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, g, request

from app import logs, settings
from app.clock import YEAR_SECONDS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

VARY = ("HX-Request", "Cookie")
REQUEST_ID = "nametag.request_id"
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: over HTTPS the CSRF check needs one
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HOST_PORT = re.compile(r".+:\d{1,5}")


def init_app(app: Flask) -> None:
    """Add security headers to every response of `app`, and an ID to each request, which its log lines carry."""
    fixed = FIXED | {"Content-Security-Policy": policy(settings.current().media_hosts)}
    inner, https_only = app.wsgi_app, settings.current().production

    # As middleware, not in after_request: that took a tenth of a delivery's time.
    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[REQUEST_ID] = secrets.token_hex(6)
        extra = fixed | {"X-Request-Id": environ[REQUEST_ID]}
        if https_only or environ["wsgi.url_scheme"] == "https":
            extra["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}; includeSubDomains"

        def start(status: str, headers: list[tuple[str, str]], *failed: Any) -> Callable[[bytes], object]:
            return start_response(status, _complete(headers, extra), *failed)

        with logs.log_context(request=environ[REQUEST_ID]):
            return inner(environ, start)

    app.wsgi_app = outer  # type: ignore[method-assign]  # Flask's documented way to wrap


def policy(media_hosts: Iterable[str]) -> str:
    """Return the Content-Security-Policy of pages, with pictures and sound also from `media_hosts`."""
    media = " ".join(source for host in media_hosts for source in _sources(host))
    return (
        f"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: {media}; "
        f"media-src 'self' {media}; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def request_id() -> str:
    """Return the ID of this request, as in the log."""
    found: str = request.environ.get(REQUEST_ID, "")
    return found


def nonce() -> str:
    """Return the nonce of this response for inline scripts, which only the queue dashboard has."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    found: str = g.nonce
    return found


def _sources(host: str) -> tuple[str, ...]:
    # An entry with a port is the sandbox: exactly this host, over HTTP.
    return (f"http://{host}",) if _HOST_PORT.fullmatch(host) else (f"https://{host}", f"https://*.{host}")


def _complete(headers: list[tuple[str, str]], extra: dict[str, str]) -> list[tuple[str, str]]:
    """Return `headers` with missing ones from `extra`. Responses without Cache-Control must not be stored."""
    present = {name.lower() for name, _ in headers}
    complete = headers + [pair for pair in extra.items() if pair[0].lower() not in present]
    if "cache-control" not in present:
        varies = [value for name, value in complete if name.lower() == "vary"]
        named = dict.fromkeys(part.strip() for value in [*varies, *VARY] for part in value.split(","))
        complete = [pair for pair in complete if pair[0].lower() != "vary"]
        complete += [("Vary", ", ".join(named)), ("Cache-Control", "private, no-store")]
    return complete
