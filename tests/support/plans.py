"""How a database carries out a query, for tests that no page reads a whole account."""

import re
from typing import Any

from sqlalchemy import Select, text
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


def reads_a_whole_table(plan: str) -> bool:
    """Return whether a plan reads all rows of a table, or, on SQLite, sorts them."""
    return _READS_ALL.search(plan) is not None


def _escaped(compiled: Any) -> str:
    return str(compiled).replace(":", "\\:")
