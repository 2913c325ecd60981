"""Pages of a sorted list that begin after a row, not at a number (keyset paging)."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select

from app import clock
from app.db.engine import db
from app.errors import Invalid

_CURSOR = re.compile(r"([0-9]{1,16}),([0-9]{1,18})", re.ASCII)


def fetch_page(
    found: Select[*tuple[Any, ...]], limit: int
) -> tuple[Sequence[Row[*tuple[Any, ...]]], Row[*tuple[Any, ...]] | None]:
    """Return at most `limit` (from 1) rows of a sorted query, and the row after which the next page begins.

    That row is the last one of the page; None where nothing follows.
    """
    return fetch_page_of((found,), limit)


def fetch_page_of(
    parts: Iterable[Select[*tuple[Any, ...]]], limit: int
) -> tuple[Sequence[Row[*tuple[Any, ...]]], Row[*tuple[Any, ...]] | None]:
    """Return what `fetch_page` does for a list whose `parts` follow each other; later parts are read only if needed."""
    rows: list[Row[*tuple[Any, ...]]] = []
    for part in parts:
        rows += db.session.execute(limit_to_page(part, limit - len(rows))).all()
        if len(rows) > limit:
            break
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None


def limit_to_page(found: Select[*tuple[Any, ...]], limit: int) -> Select[*tuple[Any, ...]]:
    """Limit a sorted query to a page, and the row that says whether another page follows."""
    return found.limit(limit + 1)


def make_cursor(at: datetime, row_id: int) -> str:
    """Return the cursor of a row from its sort key: the aware time `at`, then the ID."""
    return f"{clock.microseconds(at)},{row_id}"


def parse_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the time (aware UTC) and the ID of a cursor; raises Invalid for any other text."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Invalid({"cursor": "The cursor is not valid. Start again from the first page."})
    return clock.from_microseconds(int(found[1])), int(found[2])
