"""Pages of a sorted list that begin after a row, not at a number (keyset paging)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select

from app.db.engine import db


def fetch_page(
    found: Select[*tuple[Any, ...]], limit: int
) -> tuple[Sequence[Row[*tuple[Any, ...]]], Row[*tuple[Any, ...]] | None]:
    """Return at most `limit` (from 1) rows of a sorted query, and the row after which the next page begins.

    That row is the last one of the page; None where nothing follows.
    """
    rows = db.session.execute(found.limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None
