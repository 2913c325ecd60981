"""Errors of the API as problem documents (RFC 9457)."""

from typing import Any

from flask import Response, make_response
from pydantic import ValidationError

from app import errors, problem_details
from app.api.cursors import ForeignCursor
from app.errors import NametagError


def problem_response(status: int, detail: str, **more: Any) -> Response:
    """Return a response with a problem document."""
    response = make_response(problem_details.document(status, detail, **more), status)
    response.content_type = problem_details.CONTENT_TYPE
    return response


def error_response(error: NametagError) -> Response:
    """Return the response for a NametagError."""
    if isinstance(error, ForeignCursor):
        return problem_response(400, str(error))
    if isinstance(error, errors.Invalid):
        return problem_response(
            error.http_status,
            str(error),
            errors=[{"field": name, "detail": each} for name, each in error.fields.items()],
        )
    more = {"jobId": error.run_id} if isinstance(error, errors.AlreadyRunning) else {}
    response = problem_response(error.http_status, str(error), **more)
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def validation_error(error: ValidationError) -> Response:
    """Return a 422 response with one entry per wrong field, without the sent values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    fields = [
        {"field": ".".join(map(str, each["loc"])) or "body", "detail": each["msg"].replace("Input should", "Must", 1)}
        for each in found
    ]
    return problem_response(
        422, f"Validation failed for {len(fields)} field{'s' if len(fields) > 1 else ''}. See errors.", errors=fields
    )
