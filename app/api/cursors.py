"""Where the next page begins, sealed: a cursor works for the very list it came from, and cannot be made or changed."""

import hashlib
from datetime import datetime
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from app import clock, settings
from app.errors import Invalid

_NO_TIME = 0  # of a list without times


class ForeignCursor(Invalid):
    """A cursor that is not ours, or of another list."""

    def __init__(self) -> None:
        super().__init__({"cursor": "The cursor belongs to no page of this list."})


def seal(place: tuple[datetime, int] | int | None, *of: object) -> str | None:
    """Return the cursor of a place in the list that `of` describes; None where there is no next page."""
    if place is None:
        return None
    microseconds, row = (clock.microseconds(place[0]), place[1]) if isinstance(place, tuple) else (_NO_TIME, place)
    return str(_sealer(of).dumps([microseconds, row]))


def place(cursor: str | None, *of: object) -> tuple[datetime, int] | None:
    """Return the place that a cursor of this very list stands for; raises ForeignCursor."""
    if cursor is None:
        return None
    try:
        microseconds, row = _sealer(of).loads(cursor)
    except (BadData, ValueError, TypeError):
        raise ForeignCursor from None
    return clock.from_microseconds(microseconds), row


def row(cursor: str | None, *of: object) -> int | None:
    """Return the row that a cursor of a list without times stands for; raises ForeignCursor."""
    found = place(cursor, *of)
    return None if found is None else found[1]


def _sealer(of: tuple[Any, ...]) -> URLSafeSerializer:
    described = hashlib.blake2s(repr(of).encode()).hexdigest()
    return URLSafeSerializer(settings.current().secret_key, salt=f"cursor:{described}")
