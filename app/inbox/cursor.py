"""The end of one page and the beginning of the next: a time and an id, as addresses carry them."""

import re
from datetime import datetime

from app import clock
from app.errors import Invalid

_FORM = re.compile(r"([0-9]{1,16}),([0-9]{1,18})", re.ASCII)


def make_cursor(at: datetime, row_id: int) -> str:
    """Return the cursor of a row that was sorted by the aware time `at` and its id."""
    return f"{clock.microseconds(at)},{row_id}"


def parse_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the time (aware UTC) and the id of a cursor; raises Invalid for anything else."""
    found = _FORM.fullmatch(cursor)
    if found is None:
        raise Invalid({"cursor": "This address does not name a place in the list."})
    return clock.from_microseconds(int(found[1])), int(found[2])
