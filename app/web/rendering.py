"""One answer for every view: the page for navigation, its part for htmx; and every error as a page or a toast."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, make_response, redirect, render_template, request
from flask_login import current_user

from app.identities.failure_policy import STOP_AFTER
from app.inbox import layout
from app.inbox.layout import AccountSelection, Layout
from app.web import conditional

logger = logging.getLogger(__name__)

MORPH = "morph:outerHTML"  # how polled parts are swapped; written once, for the day htmx calls it otherwise
FOLD = 2_000  # characters of a message that are shown before its rest is folded away
THEMES = ("light", "dark", "system")
PLAIN_TEXT_BLUEPRINT = "webhooks"  # Meta reads no pages
API_BLUEPRINT = "api"  # nor do programs
API_PATHS = ("/api/", "/messaging/")


def render(
    whole: str | None,
    part: str | None,
    /,
    *,
    desk: AccountSelection | None = None,
    token: str | None = None,
    home: str = "/inbox",
    status: int = 200,
    events: Mapping[str, Any] | None = None,
    **shown: Any,
) -> Response:
    """Return the template `whole` for navigation, or `part` for htmx, both showing `shown`.

    A part without a page, typed by hand, leads to `home`. `desk` fills the frame around the page, or
    brings its counts along with a part; `token` is the
    version of a polled part, `events` are told to the page's scripts (`toast`, `announce` and others).
    """
    around = layout.get_layout(current_user.viewer, desk) if desk else None
    if part and wants_part():
        words = render_template(part, token=token, frame=around, **shown)
        if around:
            words += render_template("_counts.html", frame=around, section=request.blueprint)
        response = make_response(words, status)
        if token:
            response.set_etag(token, weak=True)
    elif whole:
        response = make_response(render_page(whole, around, token=token, **shown), status)
    else:
        response = see_other(home)
    return trigger_events(response, events)


def init_app(app: Flask) -> None:
    """Give `app`'s templates what they share."""
    numbers = {"POLL_SECONDS": conditional.SECONDS, "STOP_AFTER": STOP_AFTER}
    app.jinja_env.globals |= {"MORPH": MORPH, "FOLD": FOLD, **numbers}


def wants_part() -> bool:
    """Return whether htmx asked for a part, and not to restore a whole page from its history."""
    return is_htmx() and request.headers.get("HX-History-Restore-Request") != "true"


def render_done(home: str, *, events: Mapping[str, Any] | None = None) -> Response:
    """Return the answer to a click that has nothing to show: 204 for htmx, else the page `home`."""
    return trigger_events(Response(status=204) if is_htmx() else see_other(home), events)


def hx_redirect(home: str) -> Response:
    """Return the answer to a click after which the page at hand is gone: `home` as a whole, for htmx too."""
    if not is_htmx():
        return see_other(home)
    response = Response(status=204)
    response.headers["HX-Redirect"] = home
    return response


def see_other(address: str) -> Response:
    """Send the browser to another address of ours, with a GET."""
    return make_response(redirect(address, 303))


def trigger_events(response: Response, events: Mapping[str, Any] | None) -> Response:
    """Add events for the page's scripts; JSON keeps them ASCII, so that no name can break a header."""
    if events:
        response.headers["HX-Trigger"] = json.dumps(events)
    return response


def toast(words: str, *, bad: bool = False) -> dict[str, Any]:
    """Return the event that shows `words` in a corner of the page; bad news stays until it is dismissed."""
    return {"toast": {"text": words, "kind": "error" if bad else "done"}}


def theme() -> str:
    """Return the reader's choice of colours, "system" unless they made one."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else "system"


def render_page(template: str, around: Layout | None, **shown: Any) -> str:
    """Return a whole page: `template` inside the layout."""
    return render_template(template, frame=around, section=request.blueprint or "", theme=theme(), **shown)


def is_htmx() -> bool:
    """Return whether htmx sent this request."""
    return request.headers.get("HX-Request") == "true"
