"""Under which names Nametag may be called, and how many proxies are believed (reliability.md S25)."""

import logging

from flask import Flask, Response
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from app import settings

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def connect(app: Flask) -> None:
    """Refuse every other name in production, and read what proxies forward from as many of them as there are.

    The name a proxy was called by is never taken from X-Forwarded-Host: our proxies pass Host on.
    """
    chosen = settings.current()
    if chosen.production or chosen.trusted_hosts:
        app.config["TRUSTED_HOSTS"] = [*LOOPBACK, *chosen.trusted_hosts]
    app.register_error_handler(SecurityError, _refused)
    if chosen.proxy_hops:
        hops = chosen.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]  # Flask's documented way to wrap


def _refused(_: SecurityError) -> Response:
    # Plain: a page would need addresses of ours, and there is no host to build them for.
    logger.warning("a request was refused: TRUSTED_HOSTS does not name its host")
    return Response("This host is not one of Nametag's.", 400, content_type="text/plain; charset=utf-8")
