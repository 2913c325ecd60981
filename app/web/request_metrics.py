"""Count requests and their time by route, for /metrics."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from app import clock, counters

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROUTE = "nametag.route"  # in the environment of a request that middleware answers before Flask
UNMATCHED = "unmatched"  # any path that is no route: visitors choose it, so it must not become a label


def init_app(app: Flask) -> None:
    """Count every request of `app`."""
    inner = app.wsgi_app

    # As middleware, not in after_request: that took a tenth of a delivery's time.
    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        began = clock.monotonic()

        def start(line: str, headers: list[tuple[str, str]], *failed: Any) -> Callable[[bytes], object]:
            route = environ.get(ROUTE) or _matched(environ)
            named = (environ["REQUEST_METHOD"], route) if route else (UNMATCHED, UNMATCHED)
            counters.REQUEST_SECONDS.observe(clock.monotonic() - began, *named)
            counters.RESPONSES.add(*named, line[:3])
            return start_response(line, headers, *failed)

        return inner(environ, start)

    app.wsgi_app = outer  # type: ignore[method-assign]  # Flask's documented way to wrap


def _matched(environ: "WSGIEnvironment") -> str | None:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)  # Flask removes it when the response is complete
    return rule.rule if rule else None
