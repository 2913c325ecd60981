"""How a database carries out a query, for tests that no page reads a whole account."""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, event, text
from sqlalchemy.orm import Session

from app.db.engine import db, is_sqlite

_READS_ALL = re.compile(r"SCAN (?!anon_)\w+|(SEARCH .*)\n.*TEMP B-TREE FOR ORDER BY|Seq Scan on")


def plan_of(found: Select[Any]) -> str:
    """Return the plan of a query, as if its tables were large: PostgreSQL then avoids reading all rows."""
    session: Session = db.session()
    compiled = found.compile(db.engine, compile_kwargs={"literal_binds": True})
    if is_sqlite():
        return "\n".join(row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {_escaped(compiled)}")))
    for name in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"):
        session.execute(text(f"SET LOCAL {name} = off"))
    lines = session.scalars(text(f"EXPLAIN {_escaped(compiled)}")).all()
    session.rollback()
    return "\n".join(lines)


def plans_of(act: Callable[[], object], *, about: str) -> list[str]:
    """Return the plan of each query about a table that `act` makes, as if tables were large."""
    asked: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT") and about in statement:
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", keep)
    try:
        act()
    finally:
        event.remove(db.engine, "before_cursor_execute", keep)
    connection = db.session.connection()
    if is_sqlite():
        explained = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each}", given).all() for each, given in asked]
        return ["\n".join(row.detail for row in rows) for rows in explained]
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
    explained = [connection.exec_driver_sql(f"EXPLAIN {each}", given).all() for each, given in asked]
    db.session.rollback()
    return ["\n".join(row[0] for row in rows) for rows in explained]


def scans(plan: str, name: str) -> bool:
    """Return whether a plan reads a table row by row: all of it, or all rows of an account."""
    of_account = rf"SEARCH {name} USING \S*(COVERING )?INDEX \w+ \(account_id=\?\)"
    return re.search(rf"SCAN {name}\b|{of_account}|Seq Scan on {name}\b", plan) is not None


def reads_a_whole_table(plan: str) -> bool:
    """Return whether a plan reads all rows of a table, or, on SQLite, sorts them."""
    return _READS_ALL.search(plan) is not None


def _escaped(compiled: Any) -> str:
    return str(compiled).replace(":", "\\:")
