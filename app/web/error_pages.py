"""Every error as a page, a toast, plain text or a problem document, with the right status."""

import json
import logging

from flask import Flask, Response, make_response, request
from flask_login import current_user
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from app import errors
from app import problem_details as documents
from app.errors import NametagError
from app.inbox import layout
from app.inbox.layout import Layout
from app.web import account_selection, headers
from app.web.rendering import (
    API_BLUEPRINT,
    API_PATHS,
    PLAIN_TEXT_BLUEPRINT,
    is_htmx,
    render_page,
    toast,
    trigger_events,
)

logger = logging.getLogger(__name__)

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


def init_app(app: Flask) -> None:
    """Answer every error of `app` in this one place."""
    app.register_error_handler(NametagError, error_response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, lambda _: render_error(400, UNREADABLE_BODY))


def error_response(error: NametagError) -> Response:
    """Return what a browser is told of an error of ours."""
    response = render_error(error.http_status, str(error))
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def render_error(status: int, sentence: str) -> Response:
    """Return an error as a toast for htmx, as a page for navigation."""
    if request.blueprint == API_BLUEPRINT or request.path.startswith(API_PATHS):
        return Response(json.dumps(documents.document(status, sentence)), status, content_type=documents.CONTENT_TYPE)
    if request.blueprint == PLAIN_TEXT_BLUEPRINT:
        return Response(sentence, status, content_type="text/plain; charset=utf-8")
    if is_htmx():
        polled = (
            request.method == "GET" and status >= 500
        )  # two failures show the banner, one shows nothing (ui.md 7.7)
        return trigger_events(Response(status=status), None if polled else toast(sentence, bad=True))
    heading = HEADINGS.get(status, "Something went wrong")
    around = _layout_if_possible() if status != 503 else layout.EMPTY_LAYOUT  # what is away is not asked again
    words = render_page(
        "errors/error.html", around, heading=heading, sentence=sentence, request_id=headers.request_id(), status=status
    )
    return make_response(words, status)


def _http_error(error: HTTPException) -> HTTPException | Response:
    status = error.code or 500
    if status < 400:
        return error
    response = render_error(
        status, SENTENCES.get(status, BROKEN if status >= 500 else "This request was not understood.")
    )
    if "Allow" in (sent := dict(error.get_headers())):
        response.headers["Allow"] = sent["Allow"]
    return response


def _layout_if_possible() -> Layout | None:
    try:
        viewer = current_user.viewer if current_user.is_authenticated else None
        return layout.get_layout(viewer, account_selection.select(viewer)) if viewer else None
    except Exception:
        logger.exception("an error page goes without its frame")
        return None
