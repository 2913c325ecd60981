"""All rows of a database, to compare before and after."""

from typing import Any

from sqlalchemy import inspect, text

from app.db.engine import db


def tables(*, but: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of the current app's database, `but` for some tables.

    SQLite's search tables are left out: they repeat what stands elsewhere, and cannot all be read.
    """
    db.session.rollback()
    every = inspect(db.engine).get_table_names()
    names = [name for name in every if name not in but and not name.startswith("search_")]
    return {name: sorted(map(tuple, db.session.execute(text(f"SELECT * FROM {name}"))), key=repr) for name in names}


def places_of(*words: str) -> set[str]:
    """Return the tables with a row that contains one of the words."""
    found = set()
    for name, rows in tables().items():
        cells = " ".join(_readable(cell) for row in rows for cell in row)
        if any(word in cells for word in words):
            found.add(name)
    return found


def _readable(cell: Any) -> str:
    return bytes(cell).decode(errors="replace") if isinstance(cell, bytes | memoryview) else str(cell)
