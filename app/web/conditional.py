"""Polls that find nothing new: answered with 304 before any row is read or any template is rendered."""

import hashlib
from collections.abc import Mapping

from flask import Response, request

from app import change_tokens, clock
from app.viewer import Viewer
from app.web import assets, filters

# How often the page asks for a part again, rendered into the page. The last two parts are polled during a lookup only.
SECONDS: Mapping[str, float] = {
    "list": 30,
    "thread": 15,
    "jobs": 15,
    "active_jobs": 1.5,
    "unresolved": 2,
    "identity": 1,
}
CARRIED = "."  # behind it a token may carry what the part showed, which takes no part in the comparison


def version(account_id: int | None, contact: str | None = None) -> str | None:
    """Return the version of an account's list or a contact's thread, None when Redis is unavailable.

    Ask for it before rows are read.
    """
    return change_tokens.current(account_id, contact) if account_id is not None else ""


def token(viewer: Viewer, account_id: int | None, version: str | None, *parts: object) -> str | None:
    """Return what a part's answer depends on, as a short word; None when that cannot be known (Redis is away).

    `parts` are what the address asks for. Everything visible bumps the account's version; the rest is who looks, on
    which day of theirs, and which code answers.
    """
    if version is None:
        return None
    today = clock.now().astimezone(filters.zone()).date()
    depends_on = (version, account_id, viewer.user_id, viewer.role, today, assets.deploy_id(), *parts)
    return hashlib.blake2s(repr(depends_on).encode(), digest_size=9).hexdigest()


def is_unchanged(token: str | None) -> Response | None:
    """Return 304 when the browser already shows what `token` stands for, else None."""
    if token is None or token not in {tag.partition(CARRIED)[0] for tag in _tags()}:
        return None
    response = Response(status=304)
    response.set_etag(next(tag for tag in _tags() if tag.partition(CARRIED)[0] == token), weak=True)
    return response


def carrying(token: str | None, words: list[str]) -> str | None:
    """Return `token` with `words` to be sent back by the next poll."""
    return token if token is None or not words else CARRIED.join([token, *words])


def carried() -> list[str]:
    """Return the words that the part on the page was rendered with."""
    return [word for tag in _tags() for word in tag.split(CARRIED)[1:]]


def remembers() -> bool:
    """Return whether the poll says what the page shows; it cannot when its token was not known (Redis was away)."""
    return bool(_tags())


def _tags() -> set[str]:
    return request.if_none_match.as_set(include_weak=True) if "If-None-Match" in request.headers else set()
