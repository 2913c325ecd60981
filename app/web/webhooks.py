"""The door for Meta: the handshake, deliveries, and what an account's holder asks. No session, no cookie."""

import re

from flask import Blueprint, Response, make_response, request

from app.erasure import meta_callbacks
from app.errors import Unavailable
from app.ingest import receive
from app.web import trusted_hosts

BODY_BYTES = 4 * 1024 * 1024  # product.md 4
PIECE_BYTES = 64 * 1024  # read at once, so that a large body is not held several times over
SIGNED_BYTES = 20_000  # the form around at most 16 KiB
CHALLENGE = re.compile(r"[0-9A-Za-z_-]{1,128}", re.ASCII)  # reliability.md S11
SIGNATURE = "X-Hub-Signature-256"
_WORDS = {
    200: "EVENT_RECEIVED",
    400: "This is not a JSON object.",
    401: "The signature does not match.",
    415: "The body must have no content encoding.",
}

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@blueprint.get("/instagram", strict_slashes=False)
def handshake() -> Response:
    """Echo the challenge of a subscription that knows our verify token (instagram-platform.md 3)."""
    mode, token, challenge = (request.args.getlist(f"hub.{name}") for name in ("mode", "verify_token", "challenge"))
    if not len(mode) == len(token) == len(challenge) == 1 or not CHALLENGE.fullmatch(challenge[0]):
        return _text("This is not a subscription handshake.", 400)
    if not receive.is_valid_handshake(mode[0], token[0]):
        return _text("The verify token does not fit.", 403)
    return _text(challenge[0], 200)


@blueprint.post("/instagram", strict_slashes=False)
def delivery() -> Response:
    """Take one delivery; 200 only when everything in it is committed, 503 so that Meta delivers it again."""
    body = _body()
    if body is None:
        return _text("The body is larger than 4 MiB.", 413)
    try:
        receipt = receive.receive_delivery(body, request.headers.get(SIGNATURE), encoded=_is_encoded())
    except Unavailable as error:
        answer = _text(str(error), 503)
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
        return answer
    return _text(_WORDS[receipt.status], receipt.status)


@blueprint.post("/instagram/deauthorize", strict_slashes=False)
def deauthorize() -> Response:
    """Take an account owner's withdrawal of the app's access."""
    if meta_callbacks.deauthorize(_signed_request()):
        return _text("The account is disconnected.", 200)
    return _text("No account was disconnected: none has this ID yet, or this request was received before.", 200)


@blueprint.post("/instagram/data-deletion", strict_slashes=False)
def data_deletion() -> Response:
    """Take an account owner's request to delete their data; the answer names its public status page."""
    code = meta_callbacks.request_deletion(_signed_request())
    where = trusted_hosts.external_url("deletions.status", code=code)
    return make_response({"url": where, "confirmation_code": code}, 200)


def _is_encoded() -> bool:
    encodings = request.headers.get("Content-Encoding", "").lower().split(",")
    return any(each.strip() not in ("", "identity") for each in encodings)


def _signed_request() -> str:
    request.max_form_memory_size = request.max_content_length = SIGNED_BYTES
    return request.form.get("signed_request", "")


def _body() -> bytes | None:
    if (request.content_length or 0) > BODY_BYTES:
        return None
    # At its own limit a chunked body would be cut and handed on as if whole (reliability.md M12): one byte more shows.
    request.max_content_length = BODY_BYTES + 1
    body = bytearray()
    while piece := request.stream.read(PIECE_BYTES):
        body += piece
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


def _text(words: str, status: int) -> Response:
    return Response(words, status, content_type="text/plain; charset=utf-8")
