"""A problem document (RFC 9457): how programs are told what went wrong."""

from typing import Any

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed",
    401: "No token, or none that works",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not now",
    413: "Too large",
    415: "Another kind of body is needed",
    422: "Something is wrong with a field",
    429: "Too many calls",
    500: "Something went wrong on our side",
    503: "Not available right now",
}


def document(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return the document of a problem; `more` are members of its own, such as the errors of fields."""
    return {"type": "about:blank", "title": TITLES.get(status, "Problem"), "status": status, "detail": detail} | more
