"""Who may come in: bearer tokens, kinds of bodies, calls a minute; and every error as a problem document."""

import json
from typing import Any

from flask import Response, g, make_response, request
from flask_login import current_user
from pydantic import ValidationError

from app import errors, problem_details, settings
from app.api.cursors import ForeignCursor
from app.errors import NametagError
from app.users import api_tokens, rate_limit, refusals
from app.users.api_tokens import Scope, Token
from app.users.rate_limit import Rate
from app.viewer import Viewer

READS, STARTS, FAILURES = 600, 10, 60  # a minute (reliability.md S30)
BODY_BYTES = 64 * 1024
READING = ("GET", "HEAD")
STATUS = {
    errors.NotFound: 404,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.RetryLater: 429,
    errors.Unavailable: 503,
}
OPEN = frozenset({"api.document", "api.explorer"})  # to people who are signed in, too


def admit() -> Response | None:
    """Let a program in that brings a token and a body we can read; else say what is wrong."""
    if request.endpoint in OPEN and (not settings.current().production or current_user.is_authenticated):
        return None
    token = _token()
    if token is None:
        return _turned_away()
    g.token = token
    scope, most = (Scope.READ, READS) if request.method in READING else (Scope.JOBS, STARTS)
    g.rate = rate_limit.count_call(f"{scope}:{token.id}", most)
    if g.rate.exceeded:
        return _too_many(g.rate)
    if scope not in token.scopes:
        return answer(403, f"This needs a token with the scope {scope}.")
    return _readable()


def viewer() -> Viewer:
    """Return who asks."""
    token: Token = g.token
    return token.viewer()


def dress(response: Response) -> Response:
    """Add the rate limit's headers, and record a refused call in the audit log."""
    if "token" in g:
        refusals.record_response(viewer(), response.status_code, address=_address(), route=_route())
    rate: Rate | None = g.get("rate")
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.limit)
        response.headers["RateLimit-Remaining"] = str(rate.remaining)
        response.headers["RateLimit-Reset"] = str(rate.seconds_left)
    return response


def answer(status: int, detail: str, **more: Any) -> Response:
    """Return a problem document."""
    response = make_response(problem_details.document(status, detail, **more), status)
    response.content_type = problem_details.CONTENT_TYPE
    return response


def ours(error: NametagError) -> Response:
    """Return what a program is told of an error of ours."""
    if isinstance(error, ForeignCursor):
        return answer(400, str(error))
    status = next(number for kind, number in STATUS.items() if isinstance(error, kind))
    if isinstance(error, errors.Invalid):
        return answer(
            status, str(error), errors=[{"field": name, "detail": each} for name, each in error.fields.items()]
        )
    more = {"jobId": error.run_id} if isinstance(error, errors.AlreadyRunning) else {}
    response = answer(status, str(error), **more)
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def invalid(error: ValidationError) -> Response:
    """Return one entry for every wrong field; what was sent is not repeated."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    fields = [{"field": ".".join(map(str, each["loc"])) or "body", "detail": each["msg"]} for each in found]
    return answer(422, f"{len(fields)} field{'s are' if len(fields) > 1 else ' is'} wrong.", errors=fields)


def register(blueprint: Any) -> None:
    """Guard every address of the API."""
    blueprint.before_request(admit)
    blueprint.after_request(dress)
    for kind in STATUS:
        blueprint.register_error_handler(kind, ours)


def _token() -> Token | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return None
    return api_tokens.authenticate(secret.strip(), address=_address(), route=_route())


def _address() -> str:
    return request.remote_addr or ""


def _route() -> str:
    return refusals.route_of(request.method, str(request.url_rule))


def _turned_away() -> Response:
    failed = rate_limit.count_call(f"failures:{_address()}", FAILURES)
    if failed.exceeded:
        return _too_many(failed)
    refused = answer(401, "Send a token: Authorization: Bearer nametag_…")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _too_many(rate: Rate) -> Response:
    refused = answer(429, f"Too many calls. Go on in {rate.seconds_left} s.")
    refused.headers["Retry-After"] = str(rate.seconds_left)
    return refused


def _readable() -> Response | None:
    if request.method in READING or not (request.content_length or request.headers.get("Transfer-Encoding")):
        return None
    if request.mimetype != "application/json":
        return answer(415, "A body should be application/json.")
    # At its own limit a chunked body would be cut and handed on as if whole (reliability.md M12): one byte more shows.
    request.max_content_length = BODY_BYTES + 1
    if (request.content_length or 0) > BODY_BYTES or len(body := request.get_data(cache=True)) > BODY_BYTES:
        return answer(413, "A body should have at most 64 KiB.")
    try:
        found = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return answer(400, "The body is not JSON.")
    return None if isinstance(found, dict) else answer(400, "The body is not a JSON object.")


def _no_number(written: str) -> None:
    raise ValueError(f"{written} is no number of JSON")
