"""Conditional responses to polls: 304 without reading rows or rendering a template when nothing has changed."""

import hashlib
from collections.abc import Mapping

from flask import Response, request

from app import change_tokens, clock
from app.viewer import Viewer
from app.web import assets, filters

# Poll intervals of the parts, rendered into the page. The last two parts are polled during a lookup only.
SECONDS: Mapping[str, float] = {
    "list": 30,
    "thread": 15,
    "jobs": 15,
    "active_jobs": 1.5,
    "unresolved": 2,
    "items": 5,
    "identity": 1,
}
CARRIED = "."  # separates the token from values of the shown part, which are not compared


def version(account_id: int | None, contact: str | None = None) -> str | None:
    """Return the change token of an account's list or a contact's thread, None if Redis is unavailable.

    Get it before reading rows.
    """
    return change_tokens.current(account_id, contact) if account_id is not None else ""


def token(viewer: Viewer, account_id: int | None, version: str | None, *parts: object) -> str | None:
    """Return an ETag for a polled part, None if Redis is unavailable.

    It depends on everything that the part shows: the account's version, the viewer, the day in their time zone, the
    deployed code, and `parts`, the parameters of the request.
    """
    if version is None:
        return None
    today = clock.now().astimezone(filters.zone()).date()
    depends_on = (version, account_id, viewer.user_id, viewer.role, today, assets.deploy_id(), *parts)
    return hashlib.blake2s(repr(depends_on).encode(), digest_size=9).hexdigest()


def is_unchanged(token: str | None) -> Response | None:
    """Return a 304 response if the browser already shows the part with this token, else None."""
    if token is None or token not in {tag.partition(CARRIED)[0] for tag in _tags()}:
        return None
    response = Response(status=304)
    response.set_etag(next(tag for tag in _tags() if tag.partition(CARRIED)[0] == token), weak=True)
    return response


def carrying(token: str | None, values: list[str]) -> str | None:
    """Return `token` with `values` that the next poll sends back."""
    return token if token is None or not values else CARRIED.join([token, *values])


def carried() -> list[str]:
    """Return the values that the shown part was rendered with."""
    return [value for tag in _tags() for value in tag.split(CARRIED)[1:]]


def remembers() -> bool:
    """Return whether the poll has a token of the shown part. It has none if Redis was unavailable."""
    return bool(_tags())


def _tags() -> set[str]:
    return request.if_none_match.as_set(include_weak=True) if "If-None-Match" in request.headers else set()
