"""What every response carries, errors and static files included: the policy for browsers, and a request's id."""

import re
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from app import logs, settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VARY = ("HX-Request", "Cookie")
YEAR_SECONDS = 31_536_000
REQUEST_ID = "nametag.request_id"
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: over https the CSRF check wants one (dependencies.md 6)
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HOST_PORT = re.compile(r".+:\d{1,5}")


def connect(app: Flask) -> None:
    """Dress every response of `app`, and give each request an id that its log lines and error page carry."""
    fixed = (FIXED | {"Content-Security-Policy": policy(settings.current().media_hosts)}).items()
    https_only = settings.current().production

    def dress(response: Response) -> Response:
        present = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - iterating gives pairs
        for name, value in fixed:
            if name.lower() not in present:
                response.headers.add(name, value)
        if https_only or request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR_SECONDS}; includeSubDomains")
        if "cache-control" not in present:
            response.headers.add("Cache-Control", "private, no-store")
            if "vary" in present:
                response.vary.update(VARY)
            else:
                response.headers.add("Vary", ", ".join(VARY))
        response.headers["X-Request-Id"] = request_id()
        return response

    app.after_request(dress)
    app.wsgi_app = _with_id(app.wsgi_app)  # type: ignore[assignment,method-assign]  # Flask's documented way to wrap


def policy(media_hosts: Iterable[str]) -> str:
    """Return the Content-Security-Policy of ui.md 8, with pictures and sound also from `media_hosts`."""
    media = " ".join(source for host in media_hosts for source in _sources(host))
    return (
        f"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: {media}; "
        f"media-src 'self' {media}; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def request_id() -> str:
    """Return the id of this request, as in the log."""
    found: str = request.environ.get(REQUEST_ID, "")
    return found


def nonce() -> str:
    """Return this response's one-time word for scripts; only the queue dashboard has inline ones."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    word: str = g.nonce
    return word


def _sources(host: str) -> tuple[str, ...]:
    # An entry with a port is the sandbox: exactly this address, plain HTTP (product.md 1).
    return (f"http://{host}",) if _HOST_PORT.fullmatch(host) else (f"https://{host}", f"https://*.{host}")


def _with_id(inner: "WSGIApplication") -> "WSGIApplication":
    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[REQUEST_ID] = secrets.token_hex(6)
        with logs.place(request=environ[REQUEST_ID]):
            return inner(environ, start_response)

    return outer
