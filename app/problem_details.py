"""A problem document (RFC 9457): how API clients learn what went wrong."""

from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
_RFC_9110 = {413: "Content Too Large", 422: "Unprocessable Content"}  # Python says so from 3.13 on


def document(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return the document of a problem; `more` are members of its own, such as the errors of fields."""
    return {"type": "about:blank", "title": title(status), "status": status, "detail": detail} | more


def title(status: int) -> str:
    """Return the phrase of an HTTP status, as RFC 9457 asks for with the type `about:blank`."""
    return _RFC_9110.get(status) or HTTPStatus(status).phrase
