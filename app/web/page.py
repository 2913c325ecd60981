"""One answer for every view: the page for navigation, its part for htmx; and every error as a page or a toast."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, make_response, redirect, render_template, request
from flask_login import current_user
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from app import errors
from app import problem_details as documents
from app.errors import NametagError
from app.inbox import layout
from app.inbox.layout import AccountSelection, Layout
from app.web import account_selection, headers

logger = logging.getLogger(__name__)

MORPH = "morph:outerHTML"  # how polled parts are swapped; written once, for the day htmx calls it otherwise
FOLD = 2_000  # characters of a message that are shown before its rest is folded away
THEMES = ("light", "dark", "system")
STATUS: Mapping[type[NametagError], int] = {
    errors.NotFound: 404,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.RetryLater: 429,
    errors.Unavailable: 503,
}
HEADINGS = {
    400: "That did not work",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not now",
    413: "Too large",
    422: "Something is wrong with that",
    429: "Too many tries",
    503: "Not available right now",
}
SENTENCES = {
    400: "This page is too old or was changed on the way. Load it again, then repeat what you did.",
    404: "There is nothing at this address.",
    405: "This address does not take that.",
    413: "What was sent is too large.",
}
BROKEN = "Something went wrong on our side. It is noted under the id below."
UNREADABLE_BODY = "The body's chunked encoding is malformed. Nothing was changed."
PLAIN = "webhooks"  # Meta reads no pages
PROGRAMS = "api"  # nor do programs
PROGRAMS_PATHS = ("/api/", "/messaging/")


def answer(
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
            words += render_template("_around.html", frame=around, section=request.blueprint)
        response = make_response(words, status)
        if token:
            response.set_etag(token, weak=True)
    elif whole:
        response = make_response(_page(whole, around, token=token, **shown), status)
    else:
        response = to(home)
    return tell(response, events)


def wants_part() -> bool:
    """Return whether htmx asked for a part, and not to restore a whole page from its history."""
    return _is_htmx() and request.headers.get("HX-History-Restore-Request") != "true"


def done(home: str, *, events: Mapping[str, Any] | None = None) -> Response:
    """Return the answer to a click that has nothing to show: 204 for htmx, else the page `home`."""
    return tell(Response(status=204) if _is_htmx() else to(home), events)


def leave(home: str) -> Response:
    """Return the answer to a click after which the page at hand is gone: `home` as a whole, for htmx too."""
    if not _is_htmx():
        return to(home)
    response = Response(status=204)
    response.headers["HX-Redirect"] = home
    return response


def to(address: str) -> Response:
    """Send the browser to another address of ours, with a GET."""
    return make_response(redirect(address, 303))


def tell(response: Response, events: Mapping[str, Any] | None) -> Response:
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


def init_app(app: Flask) -> None:
    """Translate every error of `app` in this one place, and tell its templates what they share."""
    app.jinja_env.globals |= {"MORPH": MORPH, "FOLD": FOLD}
    for kind in STATUS:
        app.register_error_handler(kind, ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ParseException, lambda _: problem(400, UNREADABLE_BODY))


def ours(error: NametagError) -> Response:
    """Return what a browser is told of an error of ours."""
    status = next(number for kind, number in STATUS.items() if isinstance(error, kind))
    response = problem(status, str(error))
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def problem(status: int, sentence: str) -> Response:
    """Return an error as a toast for htmx, as a page for navigation."""
    if request.blueprint == PROGRAMS or request.path.startswith(PROGRAMS_PATHS):
        return Response(json.dumps(documents.document(status, sentence)), status, content_type=documents.CONTENT_TYPE)
    if request.blueprint == PLAIN:
        return Response(sentence, status, content_type="text/plain; charset=utf-8")
    if _is_htmx():
        polled = (
            request.method == "GET" and status >= 500
        )  # two failures show the banner, one shows nothing (ui.md 7.7)
        return tell(Response(status=status), None if polled else toast(sentence, bad=True))
    heading = HEADINGS.get(status, "Something went wrong")
    around = _frame_if_possible() if status != 503 else layout.EMPTY_LAYOUT  # what is away is not asked again
    words = _page(
        "errors/error.html", around, heading=heading, sentence=sentence, request_id=headers.request_id(), status=status
    )
    return make_response(words, status)


def _http(error: HTTPException) -> HTTPException | Response:
    status = error.code or 500
    if status < 400:
        return error
    response = problem(status, SENTENCES.get(status, BROKEN if status >= 500 else "This request was not understood."))
    if "Allow" in (sent := dict(error.get_headers())):
        response.headers["Allow"] = sent["Allow"]
    return response


def _page(template: str, around: Layout | None, **shown: Any) -> str:
    return render_template(template, frame=around, section=request.blueprint or "", theme=theme(), **shown)


def _frame_if_possible() -> Layout | None:
    try:
        viewer = current_user.viewer if current_user.is_authenticated else None
        return layout.get_layout(viewer, account_selection.select(viewer)) if viewer else None
    except Exception:
        logger.exception("an error page goes without its frame")
        return None


def _is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"
