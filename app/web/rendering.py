"""Response helpers: full page or htmx part, redirects, toasts and events."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, flash, make_response, redirect, render_template, request
from flask_login import current_user

from app.identities.failure_policy import STOP_AFTER
from app.inbox import layout
from app.inbox.layout import AccountSelection, Layout
from app.web import conditional

MORPH = "morph:outerHTML"  # how htmx swaps polled parts
FOLD = 2_000  # characters of a message before "Show full message"
THEMES = ("light", "dark", "system")
PLAIN_TEXT_BLUEPRINT = "webhooks"
API_BLUEPRINT = "api"
API_PATHS = ("/api/", "/messaging/")


def render(
    whole: str | None,
    part: str | None,
    /,
    *,
    selection: AccountSelection | None = None,
    token: str | None = None,
    home: str = "/inbox",
    status: int = 200,
    section: str | None = None,
    events: Mapping[str, Any] | None = None,
    **shown: Any,
) -> Response:
    """Return the template `whole` for navigation, or `part` for htmx, both showing `shown`.

    Without `whole`, navigation is redirected to `home`. With `selection`, a page has its navigation, and a part has the
    counts in it, for a page of `section`, by default that of the URL. `token` is the ETag of a polled part. `events`
    are for the page's scripts (`toast`, `announce` …).
    """
    around = layout.get_layout(current_user.viewer, selection) if selection else None
    if part and wants_part():
        html = render_template(part, token=token, frame=around, **shown)
        if around:
            html += render_template("_counts.html", frame=around, section=section or request.blueprint)
        response = make_response(html, status)
        if token:
            response.set_etag(token, weak=True)
    elif whole:
        response = make_response(render_page(whole, around, token=token, **shown), status)
    else:
        response = see_other(home)
    return trigger_events(response, events)


def init_app(app: Flask) -> None:
    """Add constants to the templates of `app`."""
    numbers = {"POLL_SECONDS": conditional.SECONDS, "STOP_AFTER": STOP_AFTER}
    app.jinja_env.globals |= {"MORPH": MORPH, "FOLD": FOLD, **numbers}


def wants_part() -> bool:
    """Return whether htmx requests a part, not a whole page for its history."""
    return is_htmx() and request.headers.get("HX-History-Restore-Request") != "true"


def render_done(home: str, *, events: Mapping[str, Any] | None = None) -> Response:
    """Return the response to an action with nothing to show: 204 for htmx, else a redirect to `home`."""
    return trigger_events(Response(status=204) if is_htmx() else see_other(home), events)


def hx_redirect(home: str) -> Response:
    """Return a redirect to the page `home`, also for htmx."""
    if not is_htmx():
        return see_other(home)
    response = Response(status=204)
    response.headers["HX-Redirect"] = home
    return response


def see_other(url: str) -> Response:
    """Return a redirect to a URL of this server, with GET (303)."""
    return make_response(redirect(url, 303))


def trigger_events(response: Response, events: Mapping[str, Any] | None) -> Response:
    """Add events for the page's scripts to a response. As ASCII JSON, so that no name can break the header."""
    if events:
        response.headers["HX-Trigger"] = json.dumps(events)
    return response


def toast(message: str, *, bad: bool = False) -> dict[str, Any]:
    """Return the event that shows `message` as a toast. An error (`bad`) stays until it is dismissed."""
    return {"toast": {"text": message, "kind": "error" if bad else "done"}}


def report(message: str) -> dict[str, Any]:
    """Return the event that reports a change as a toast; without htmx, the next page shows the message."""
    if not wants_part():
        flash(message)
    return toast(message)


def theme() -> str:
    """Return the user's theme, "system" by default."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else "system"


def render_page(template: str, around: Layout | None, **shown: Any) -> str:
    """Return a whole page with its layout, as HTML."""
    return render_template(template, frame=around, section=request.blueprint or "", theme=theme(), **shown)


def is_htmx() -> bool:
    """Return whether htmx sent this request."""
    return request.headers.get("HX-Request") == "true"
