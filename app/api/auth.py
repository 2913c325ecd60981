"""Authentication of API clients: bearer tokens, scopes, rate limits and body validation."""

from typing import Any

from flask import Response, g, request
from flask_login import current_user

from app import settings
from app.api.errors import error_response, problem_response
from app.errors import NametagError
from app.strict_json import load_json
from app.users import api_tokens, rate_limit, refusals
from app.users.api_tokens import Token, TokenScope
from app.users.rate_limit import Rate
from app.viewer import Viewer

READS, STARTS, FAILURES = 600, 10, 60  # per minute
BODY_BYTES = 64 * 1024
READING = ("GET", "HEAD")
# Changes that start nothing: limited like reads.
MARKING = frozenset(
    {
        *("api.mark_conversation_read", "api.mark_no_reply_needed", "api.mark_needs_reply"),
        *("api.acknowledge_alert", "api.mute_alerts", "api.unmute_alerts"),
        *("api.list_alert_receivers", "api.add_alert_receiver", "api.change_alert_receiver"),
        *("api.enable_alert_receiver", "api.remove_alert_receiver"),
    }
)
# Data protection: a scope of its own, also for reading.
PRIVATE = frozenset({"api.get_stored_data", "api.export_contact", "api.delete_contact", "api.get_receipt"})
# What concerns the installation: a scope of its own, also for reading.
ADMIN = frozenset(
    {
        *("api.list_alert_receivers", "api.add_alert_receiver", "api.change_alert_receiver"),
        *("api.enable_alert_receiver", "api.remove_alert_receiver", "api.test_alert_receiver"),
        "api.rotate_alert_receiver_secret",
    }
)
PUBLIC_ENDPOINTS = frozenset({"api.document", "api.explorer"})  # in production only for signed-in users


def authenticate() -> Response | None:
    """Authenticate and validate a request. Return None to continue, or the 400, 401, 403, 413, 415 or 429 response."""
    if request.endpoint in PUBLIC_ENDPOINTS and (not settings.current().production or current_user.is_authenticated):
        return None
    token = _token()
    if token is None:
        return _unauthorized()
    g.token = token
    scope = _scope()
    marks = request.endpoint in MARKING
    most = READS if marks or scope is TokenScope.READ else STARTS
    g.rate = rate_limit.count_call(f"{'marks' if marks else scope}:{token.id}", most)
    if g.rate.exceeded:
        return _too_many(g.rate)
    if scope not in token.scopes:
        return problem_response(403, f"This endpoint requires the '{scope}' scope.")
    return _require_json()


def _scope() -> TokenScope:
    if request.endpoint in PRIVATE:
        return TokenScope.PRIVACY
    if request.endpoint in ADMIN:
        return TokenScope.ADMIN
    return TokenScope.READ if request.method in READING else TokenScope.JOBS


def viewer() -> Viewer:
    """Return the viewer of the API token."""
    token: Token = g.token
    return token.viewer()


def add_rate_limit_headers(response: Response) -> Response:
    """Add rate limit headers, and record a refused request in the audit log."""
    if "token" in g:
        refusals.record_response(viewer(), response.status_code, address=_address(), route=_route())
    rate: Rate | None = g.get("rate")
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.limit)
        response.headers["RateLimit-Remaining"] = str(rate.remaining)
        response.headers["RateLimit-Reset"] = str(rate.seconds_left)
    return response


def register(blueprint: Any) -> None:
    """Authenticate all requests of `blueprint`, and translate errors to problem documents."""
    blueprint.before_request(authenticate)
    blueprint.after_request(add_rate_limit_headers)
    blueprint.register_error_handler(NametagError, error_response)


def _token() -> Token | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        return None
    return api_tokens.authenticate(secret.strip(), address=_address(), route=_route())


def _address() -> str:
    return request.remote_addr or ""


def _route() -> str:
    return refusals.route_of(request.method, str(request.url_rule))


def _unauthorized() -> Response:
    failed = rate_limit.count_call(f"failures:{_address()}", FAILURES)
    if failed.exceeded:
        return _too_many(failed)
    refused = problem_response(401, "Missing or invalid API token. Send it as 'Authorization: Bearer nametag_…'.")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _too_many(rate: Rate) -> Response:
    refused = problem_response(429, f"Rate limit exceeded. Retry in {rate.seconds_left} s.")
    refused.headers["Retry-After"] = str(rate.seconds_left)
    return refused


def _require_json() -> Response | None:
    if request.method in READING or not (request.content_length or request.headers.get("Transfer-Encoding")):
        return None
    if request.mimetype != "application/json":
        return problem_response(415, "Content-Type must be application/json.")
    # Werkzeug silently cuts a chunked body at this limit, so allow one byte more to detect a body that is too large.
    request.max_content_length = BODY_BYTES + 1
    if (request.content_length or 0) > BODY_BYTES or len(body := request.get_data(cache=True)) > BODY_BYTES:
        return problem_response(413, "The request body must have at most 64 KiB.")
    try:
        found = load_json(body)
    except ValueError:
        return problem_response(400, "The request body must be JSON.")
    return None if isinstance(found, dict) else problem_response(400, "The request body must be a JSON object.")
