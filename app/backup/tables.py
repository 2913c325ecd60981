"""Rows of every table in a form that SQLite and PostgreSQL share, read and written as a stream.

Tables and columns are those of the database, not of the models: a backup may have an older schema.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, DateTime, LargeBinary, column, func, insert, inspect, select, table
from sqlalchemy.types import TypeEngine

from app.db import migrate
from app.db.engine import db, is_sqlite
from app.db.types import UTCDateTime

ROWS = 100  # read and written together; a dead letter can have 4 MiB
ALIVE = (
    "heartbeats",
    "scheduler_duties",
    "findings",
    "alerts",
)  # written by running processes: they make no database "in use"
_DIGEST_RANGE = 2**256


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database, with its columns and their types."""

    name: str
    types: dict[str, TypeEngine[Any]]
    key: tuple[str, ...]

    @property
    def clause(self) -> Any:
        """The table for statements."""
        return table(self.name, *(column(name, type_) for name, type_ in self.types.items()))


@dataclass(slots=True)
class Tally:
    """The number of rows of a table, and a digest of them that does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def add(self, line: bytes) -> None:
        """Count one row."""
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(hashlib.sha256(line).digest())) % _DIGEST_RANGE


@dataclass(frozen=True, slots=True)
class Codec:
    """How the values of a type are written as JSON and read."""

    write: Callable[[Any], Any] = field(default=lambda value: value)
    read: Callable[[Any], Any] = field(default=lambda value: value)


_PLAIN = Codec()
_CODECS: dict[type[TypeEngine[Any]], Codec] = {
    UTCDateTime: Codec(datetime.isoformat, datetime.fromisoformat),
    LargeBinary: Codec(lambda value: base64.b64encode(value).decode(), base64.b64decode),
}


def names(connection: Connection) -> list[str]:
    """Return the names of all tables with rows of Nametag; search tables repeat what is in others."""
    found = inspect(connection).get_table_names()
    return sorted(
        name for name in found if name != migrate.VERSION_TABLE and migrate.of_models(None, name, "", True, None)
    )


def describe(connection: Connection) -> list[Table]:
    """Return all tables, each after those that its foreign keys refer to."""
    inspector = inspect(connection)
    present = names(connection)
    refers = {name: {key["referred_table"] for key in inspector.get_foreign_keys(name)} - {name} for name in present}
    return [
        Table(
            name,
            {each["name"]: _type_of(each["type"]) for each in inspector.get_columns(name)},
            tuple(inspector.get_pk_constraint(name)["constrained_columns"]),
        )
        for name in TopologicalSorter(refers).static_order()
    ]


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Yield a connection that sees the database as it is now, while others write."""
    with db.engine.connect() as connection:
        if not is_sqlite():
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            lift_limits(connection)
            yield connection


def lift_limits(connection: Connection) -> None:
    """Let the statements of this transaction take as long as they need; locks keep their limit."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def read(connection: Connection, found: Table) -> Iterator[bytes]:
    """Yield each row as a line of JSON, without its end."""
    clause, codecs = found.clause, _codecs(found)
    ordered = select(*clause.c).order_by(*(clause.c[name] for name in found.key))
    for row in connection.execute(ordered, execution_options={"yield_per": ROWS}):
        values = [
            None if value is None else codec.write(value) for value, codec in zip(row, codecs.values(), strict=True)
        ]
        yield json.dumps(values, separators=(",", ":")).encode()


def write(connection: Connection, found: Table, columns: list[str], lines: Iterable[bytes]) -> int:
    """Insert rows from lines of JSON with these columns; return their number. Raises KeyError for a wrong column."""
    codecs = _codecs(found)
    readers = [(name, codecs[name]) for name in columns]
    statement, written, rest = insert(found.clause), 0, iter(lines)
    while some := list(islice(rest, ROWS)):
        rows = [
            {
                name: None if value is None else codec.read(value)
                for (name, codec), value in zip(readers, json.loads(line), strict=True)
            }
            for line in some
        ]
        connection.execute(statement, rows)
        written += len(rows)
    return written


def continue_sequences(connection: Connection, found: Iterable[Table]) -> None:
    """Let generated IDs continue after the largest stored one. SQLite does so itself."""
    if connection.dialect.name != "postgresql":
        return
    for each in found:
        for name in each.key:
            sequence = connection.execute(select(func.pg_get_serial_sequence(each.name, name))).scalar()
            if sequence:
                newest = connection.execute(select(func.max(each.clause.c[name]))).scalar()
                connection.execute(select(func.setval(sequence, newest or 1, newest is not None)))


def has_rows(connection: Connection) -> bool:
    """Return whether the database holds anything that a restore would replace."""
    present = (name for name in names(connection) if name not in ALIVE)
    return any(connection.execute(select(1).select_from(table(name)).limit(1)).first() for name in present)


def drop_all(connection: Connection) -> None:
    """Drop every table, and the functions of search."""
    if connection.dialect.name == "postgresql":
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}" CASCADE')
        functions = (
            "SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE proname IN ('search_message', 'search_contact') AND pronamespace = current_schema()::regnamespace"
        )
        for name in connection.exec_driver_sql(functions).scalars().all():
            connection.exec_driver_sql(f"DROP FUNCTION {name}")
        return
    virtual = "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    ours = [each.name for each in reversed(describe(connection))]
    for name in (*connection.exec_driver_sql(virtual).scalars().all(), *ours, migrate.VERSION_TABLE):
        connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')


def _type_of(reflected: TypeEngine[Any]) -> TypeEngine[Any]:
    for general, ours in (
        (DateTime, UTCDateTime()),
        (LargeBinary, LargeBinary()),
        (JSON, JSON(none_as_null=True)),
        (Boolean, Boolean()),
    ):
        if isinstance(reflected, general):
            return ours
    return reflected


def _codecs(found: Table) -> dict[str, Codec]:
    return {name: _CODECS.get(type(type_), _PLAIN) for name, type_ in found.types.items()}
