"""Endpoints for Meta: webhook handshake and deliveries, deauthorize and data deletion callbacks. No cookies."""

import io
import re
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, make_response, request
from werkzeug.exceptions import SecurityError
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_host

from app import clock, counters
from app.erasure import meta_callbacks
from app.errors import Unavailable
from app.ingest import receive
from app.web import request_metrics, trusted_hosts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024  # read in chunks, so that memory has one copy of a large body
SIGNED_BYTES = 20_000  # a form with a signed request of at most 16 KiB
CHALLENGE = re.compile(r"[0-9A-Za-z_-]{1,128}", re.ASCII)
SIGNATURE = "X-Hub-Signature-256"
PATH = "/webhooks/instagram"
TEXT = "text/plain; charset=utf-8"
_FAILED = "nametag.failed_delivery"
_ANSWERS = {
    200: "EVENT_RECEIVED",
    400: "The body must be a JSON object.",
    401: "Invalid signature.",
    415: "Compressed bodies are not supported.",
}
_OUTCOMES = {
    200: "stored",
    400: "unreadable",
    401: "unsigned",
    413: "too_large",
    415: "encoded",
    503: "unavailable",
}

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


def init_app(app: Flask, limit_wait: Callable[[], AbstractContextManager[None]]) -> None:
    """Answer ordinary deliveries before Flask, whose work for a request takes as long as storing a message.

    `limit_wait` limits how long one of them waits for the database, like other requests.
    """
    inner = app.wsgi_app

    def outer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = _ordinary_body(environ, app.config["TRUSTED_HOSTS"])
        if body is None:
            return inner(environ, start_response)
        began = clock.monotonic()
        try:
            with app.app_context(), limit_wait():
                status = receive.receive_delivery(body, environ.get("HTTP_X_HUB_SIGNATURE_256")).status
        except Exception as error:  # raised again by `delivery`, for the error handlers of the app
            environ[_FAILED] = error, began
            return inner(environ, start_response)
        counters.DELIVERY_SECONDS.observe(clock.monotonic() - began, _OUTCOMES[status])
        environ[request_metrics.ROUTE] = PATH
        answer = _ANSWERS[status].encode()
        headers = [("Content-Type", TEXT), ("Content-Length", str(len(answer)))]
        start_response(f"{status} {HTTP_STATUS_CODES[status].upper()}", headers)
        return [answer]

    app.wsgi_app = outer  # type: ignore[method-assign]  # Flask's documented way to wrap


@blueprint.get("/instagram", strict_slashes=False)
def handshake() -> Response:
    """Return the challenge of a handshake with the verify token (docs/meta-platform.md#webhook-requests)."""
    mode, token, challenge = (request.args.getlist(f"hub.{name}") for name in ("mode", "verify_token", "challenge"))
    if not len(mode) == len(token) == len(challenge) == 1 or not CHALLENGE.fullmatch(challenge[0]):
        return _text("This is not a webhook handshake.", 400)
    if not receive.is_valid_handshake(mode[0], token[0]):
        return _text("Invalid verify token.", 403)
    return _text(challenge[0], 200)


@blueprint.post("/instagram", strict_slashes=False)
def delivery() -> Response:
    """Store a delivery. Return 200 only after all of it is committed, 503 to make Meta deliver it again."""
    failed, began = request.environ.get(_FAILED, (None, clock.monotonic()))
    response = _delivery_response(failed)
    counters.DELIVERY_SECONDS.observe(clock.monotonic() - began, _OUTCOMES[response.status_code])
    return response


def _delivery_response(failed: Exception | None) -> Response:
    try:
        if failed:
            raise failed
        body = _body()
        if body is None:
            return _text("The body is larger than 4 MiB.", 413)
        receipt = receive.receive_delivery(body, request.headers.get(SIGNATURE), encoded=_is_encoded())
    except Unavailable as error:
        answer = _text(str(error), 503)
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
        return answer
    return _text(_ANSWERS[receipt.status], receipt.status)


@blueprint.post("/instagram/deauthorize", strict_slashes=False)
def deauthorize() -> Response:
    """Disconnect the accounts of an account owner who removed the app's access."""
    if meta_callbacks.deauthorize(_signed_request()):
        return _text("The account is disconnected.", 200)
    return _text("No account was disconnected: none has this ID yet, or this request was received before.", 200)


@blueprint.post("/instagram/data-deletion", strict_slashes=False)
def data_deletion() -> Response:
    """Start to delete the data of an account owner. The response has the URL of a public status page."""
    code = meta_callbacks.request_deletion(_signed_request())
    url = trusted_hosts.external_url("deletions.status", code=code)
    return make_response({"url": url, "confirmation_code": code}, 200)


def _ordinary_body(environ: "WSGIEnvironment", trusted: Collection[str] | None) -> bytes | None:
    """Return the body of an ordinary delivery; None if Flask must answer this request."""
    length = environ.get("CONTENT_LENGTH") or ""
    if (
        environ["PATH_INFO"] != PATH
        or environ["REQUEST_METHOD"] != "POST"
        or environ.get("QUERY_STRING")
        or "HTTP_CONTENT_ENCODING" in environ
        or "HTTP_TRANSFER_ENCODING" in environ
        or not (length.isdecimal() and int(length) <= CHUNK_BYTES)
    ):
        return None
    try:
        get_host(environ, trusted)
    except SecurityError:
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    if len(body) == int(length):
        return body
    environ["wsgi.input"] = io.BytesIO(body)
    return None


def _is_encoded() -> bool:
    encodings = request.headers.get("Content-Encoding", "").lower().split(",")
    return any(each.strip() not in ("", "identity") for each in encodings)


def _signed_request() -> str:
    request.max_form_memory_size = request.max_content_length = SIGNED_BYTES
    return request.form.get("signed_request", "")


def _body() -> bytes | None:
    if (request.content_length or 0) > BODY_BYTES:
        return None
    # Werkzeug silently cuts a chunked body at this limit, so allow one byte more to detect a body that is too large.
    request.max_content_length = BODY_BYTES + 1
    body = bytearray()
    while chunk := request.stream.read(CHUNK_BYTES):
        body += chunk
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


def _text(text: str, status: int) -> Response:
    return Response(text, status, content_type=TEXT)
