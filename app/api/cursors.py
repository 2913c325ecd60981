"""Signed pagination cursors. A cursor is only valid for the list and filters that returned it."""

import hashlib
from datetime import datetime
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from app import clock, settings
from app.errors import Invalid

# Time (aware UTC) and ID of a row, and in a list by 24-hour window, whether the window is closed.
Position = tuple[datetime, int, *tuple[bool, ...]]
_NO_TIME = 0  # of a list without times


class ForeignCursor(Invalid):
    """A cursor that is malformed, or of another list."""

    def __init__(self) -> None:
        super().__init__({"cursor": "Invalid cursor. Use the nextCursor that the same request returned."})


def seal(position: Position | int | None, *of: object) -> str | None:
    """Return the cursor for a position in the list that `of` describes, None without a next page."""
    if position is None:
        return None
    at, row, *closed = position if isinstance(position, tuple) else (None, position)
    return str(_sealer(of).dumps([clock.microseconds(at) if at else _NO_TIME, row, *closed]))


def position(cursor: str | None, *of: object) -> Position | None:
    """Return the position of a cursor of the list `of`. Raises ForeignCursor."""
    if cursor is None:
        return None
    try:
        microseconds, row, *closed = _sealer(of).loads(cursor)
    except (BadData, ValueError, TypeError):
        raise ForeignCursor from None
    return clock.from_microseconds(microseconds), row, *closed


def row(cursor: str | None, *of: object) -> int | None:
    """Return the row ID of a cursor of a list without times. Raises ForeignCursor."""
    found = position(cursor, *of)
    return None if found is None else found[1]


def _sealer(of: tuple[Any, ...]) -> URLSafeSerializer:
    described = hashlib.blake2s(repr(of).encode()).hexdigest()
    return URLSafeSerializer(settings.current().secret_key, salt=f"cursor:{described}")
