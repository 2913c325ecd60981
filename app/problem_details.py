"""Problem documents (RFC 9457), the error format of the API."""

from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
_RFC_9110 = {413: "Content Too Large", 422: "Unprocessable Content"}  # before Python 3.13, HTTPStatus has older phrases


def document(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return a problem document; `more` are extension members, such as the errors of fields."""
    return {"type": "about:blank", "title": title(status), "status": status, "detail": detail} | more


def title(status: int) -> str:
    """Return the phrase of an HTTP status, which RFC 9457 requires as title with the type `about:blank`."""
    return _RFC_9110.get(status) or HTTPStatus(status).phrase
