"""Trusted host names and reverse proxies (TRUSTED_HOSTS, PROXY_HOPS)."""

import ipaddress
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Response, request, url_for
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import get_host

from app import settings, text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

_LOOPBACK = [f"[{host}]" if ":" in host else host for host in settings.LOOPBACK]  # as a Host header has them
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
_FINAL_DOT = re.compile(r"\.(?=(:\d*)?$)")


def init_app(app: Flask) -> None:
    """Refuse other hosts in production, and read X-Forwarded-For and X-Forwarded-Proto of the configured proxies.

    X-Forwarded-Host is never read: proxies pass Host on.
    """
    chosen = settings.current()
    if chosen.production or chosen.trusted_hosts:
        app.config["TRUSTED_HOSTS"] = [*_LOOPBACK, *chosen.trusted_hosts]
    app.register_error_handler(SecurityError, _refused)
    app.wsgi_app = _with_canonical_host(app.wsgi_app)  # type: ignore[assignment, method-assign]  # the documented way
    if chosen.proxy_hops:
        hops = chosen.proxy_hops
        inner = _with_valid_ip_address(app.wsgi_app)
        app.wsgi_app = ProxyFix(inner, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]  # as above


def external_url(endpoint: str, **values: str) -> str:
    """Return the absolute URL of an endpoint, with the host and port of this request; HTTPS in production."""
    scheme = "https" if settings.current().production else request.scheme
    return url_for(endpoint, _external=True, _scheme=scheme, **values)


def split_url(header: str | None) -> SplitResult:
    """Split a URL that a browser sent in a header; one that can't be parsed reads as empty."""
    return text.split_url(header or "") or urlsplit("")


def is_same_host(url: SplitResult) -> bool:
    """Return whether a URL that a browser sent names the host and port of this request."""
    host = get_host(url.scheme, _canonical(url.netloc))
    return bool(host) and host == get_host(url.scheme, request.host)  # the scheme decides which port may be left out


def _canonical(host: str) -> str:
    return _FINAL_DOT.sub("", host.lower())


def _with_canonical_host(app: "WSGIApplication") -> "WSGIApplication":
    def called(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] in (HEALTH, READY, METRICS):
            environ["HTTP_HOST"] = _LOOPBACK[0]  # their clients use the IP address as host; no response depends on it
        elif "HTTP_HOST" in environ:
            environ["HTTP_HOST"] = _canonical(environ["HTTP_HOST"])
        return app(environ, start_response)

    return called


def ip_address(forwarded: str) -> str:
    """Return the IP address in an entry of X-Forwarded-For, at most 45 characters; "" when it has none.

    Some proxies add the port, as in `192.0.2.7:50412` and `[2001:db8::7]:50412`; a zone (`%eth0`) is left out.
    """
    bare = forwarded.strip().partition("%")[0]
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return ""


def _with_valid_ip_address(inner: "WSGIApplication") -> "WSGIApplication":
    # The forwarded IP address is stored in the audit log and compared, so anything else is removed here.
    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = ip_address(environ.get("REMOTE_ADDR", ""))
        return inner(environ, start_response)

    return outer


def _refused(_: SecurityError) -> Response:
    # Plain text: a page needs URLs, and there is no trusted host for them.
    logger.warning("request refused: its host is not in TRUSTED_HOSTS")
    return Response("Unknown host. Add it to TRUSTED_HOSTS.", 400, content_type="text/plain; charset=utf-8")
