"""Cursors of keyset pages in URLs: the time and the ID of the last row."""

import re
from datetime import datetime

from app import clock
from app.errors import Invalid

_FORM = re.compile(r"([0-9]{1,16}),([0-9]{1,18})", re.ASCII)


def make_cursor(at: datetime, row_id: int) -> str:
    """Return the cursor of a row from its sort key: the aware time `at`, then the ID."""
    return f"{clock.microseconds(at)},{row_id}"


def parse_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the time (aware UTC) and the ID of a cursor; raises Invalid for any other text."""
    found = _FORM.fullmatch(cursor)
    if found is None:
        raise Invalid({"cursor": "The cursor is not valid. Start again from the first page."})
    return clock.from_microseconds(int(found[1])), int(found[2])
