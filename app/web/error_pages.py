"""Error responses: a page, a toast, plain text or a problem document."""

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
    400: "Bad request",
    401: "Sign in",
    403: "Not allowed",
    404: "Page not found",
    405: "Not supported",
    409: "Can’t do that right now",
    413: "Too large",
    422: "Check what you entered",
    429: "Too many requests",
    503: "Temporarily unavailable",
}
SENTENCES = {
    400: "This form has expired. Nothing was changed. Reload the page and try again.",
    404: "This page doesn’t exist, or you don’t have access to it.",
    405: "This page can’t be used that way. Go back and try again.",
    413: "The upload is too large. Nothing was changed.",
}
BROKEN = "Something went wrong on our side. If it keeps happening, give your admin this request ID."
UNREADABLE_BODY = "The body's chunked encoding is malformed. Nothing was changed."


def init_app(app: Flask) -> None:
    """Register the error handlers of `app`."""
    app.register_error_handler(NametagError, error_response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, lambda _: render_error(400, UNREADABLE_BODY))


def error_response(error: NametagError) -> Response:
    """Return the response for a NametagError."""
    response = render_error(error.http_status, str(error))
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def render_error(status: int, sentence: str) -> Response:
    """Return an error as a page, a toast (htmx), plain text (webhooks) or a problem document (API)."""
    if request.blueprint == API_BLUEPRINT or request.path.startswith(API_PATHS):
        return Response(json.dumps(documents.document(status, sentence)), status, content_type=documents.CONTENT_TYPE)
    if request.blueprint == PLAIN_TEXT_BLUEPRINT:
        return Response(sentence, status, content_type="text/plain; charset=utf-8")
    if is_htmx():
        polled = request.method == "GET" and status >= 500  # app.js shows a banner after two failed polls
        return trigger_events(Response(status=status), None if polled else toast(sentence, bad=True))
    heading = HEADINGS.get(status, "Something went wrong")
    around = _layout_if_possible() if status != 503 else layout.EMPTY_LAYOUT  # 503: don't query the database again
    page = render_page(
        "errors/error.html", around, heading=heading, sentence=sentence, request_id=headers.request_id(), status=status
    )
    return make_response(page, status)


def _http_error(error: HTTPException) -> HTTPException | Response:
    status = error.code or 500
    if status < 400:
        return error
    response = render_error(
        status, SENTENCES.get(status, BROKEN if status >= 500 else "We couldn’t process this request.")
    )
    if "Allow" in (sent := dict(error.get_headers())):
        response.headers["Allow"] = sent["Allow"]
    return response


def _layout_if_possible() -> Layout | None:
    try:
        viewer = current_user.viewer if current_user.is_authenticated else None
        return layout.get_layout(viewer, account_selection.select()) if viewer else None
    except Exception:
        logger.exception("error page rendered without navigation")
        return None
