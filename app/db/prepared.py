"""Statements that are compiled once and executed by the driver."""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeEngine

from app.db.engine import db

_PARAMETER = re.compile(r"%\((\w+)\)s")


class Prepared:
    """A SELECT, or an INSERT of `columns` with RETURNING. Values, row and errors are those of `Connection.execute`.

    SQLAlchemy's own work for each execution takes several times as long as finding or storing one row.
    """

    def __init__(self, build: Callable[[str], Any], columns: Iterable[str] = ()) -> None:
        """Prepare the statement that `build` returns for the name of a dialect, when it is first executed."""
        self._build, self._columns = build, list(columns) or None
        self._for = lru_cache(maxsize=2)(self._prepared)

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Execute the statement with these values and return its first row, None without one."""
        rows = self._for(connection.dialect)(connection, values)
        return rows[0] if rows else None

    def read(self, **values: Any) -> list[Any]:
        """Execute a SELECT that is its own transaction, without a session, and return its rows.

        The transaction ends with it: what the request reads afterwards is as new as that read.
        """
        with db.engine.connect() as connection:
            execute = self._for(connection.dialect)
            if connection.dialect.name == "sqlite":
                return execute(connection, values)
            return _committed(connection, lambda: execute(connection, values))

    def _prepared(self, dialect: Dialect) -> Callable[[Connection, Mapping[str, Any]], list[Any]]:
        statement = self._build(dialect.name)
        compiled = statement.compile(dialect=dialect, column_keys=self._columns)
        is_sqlite = dialect.name == "sqlite"
        sql, order = (compiled.string, compiled.positiontup) if is_sqlite else _numbered(compiled)
        defaults = {column.key: column.default.arg for column in compiled.insert_prefetch}
        to_driver = {name: _to_driver(compiled.binds[name].type, dialect) for name in compiled.params}
        constants = {
            name: to_driver[name](defaults.get(name, value))
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        }
        given = [(name, convert) for name, convert in to_driver.items() if name not in constants]
        from_driver = [_from_driver(column.type, dialect) for column in statement.exported_columns]
        row_type = namedtuple("Row", [column.key for column in statement.exported_columns])  # type: ignore[misc]

        def execute(connection: Connection, values: Mapping[str, Any]) -> list[Any]:
            bound = constants | {name: convert(values[name]) for name, convert in given}
            driver: Any = connection.connection.driver_connection
            runner = driver if is_sqlite else dialect.loaded_dbapi.RawCursor(driver)
            try:
                rows = runner.execute(sql, [bound[name] for name in order]).fetchall()
            except dialect.loaded_dbapi.Error as error:
                connection._handle_dbapi_exception(error, sql, None, None, None)  # raises the error of SQLAlchemy
            converted = ([convert(value) for convert, value in zip(from_driver, row, strict=True)] for row in rows)
            return [row_type._make(row) for row in converted]

        return execute


def _numbered(compiled: Any) -> tuple[str, list[str]]:
    """Return a statement with PostgreSQL's own parameters, $1 and so on, and their names in this order.

    psycopg would translate the others for each execution: it remembers translations of short statements only.
    """
    order = list(dict.fromkeys(_PARAMETER.findall(compiled.string)))
    sql = _PARAMETER.sub(lambda found: f"${order.index(found[1]) + 1}", compiled.string)
    return sql.replace("%%", "%"), order


def _committed(connection: Connection, read: Callable[[], list[Any]]) -> list[Any]:
    driver: Any = connection.connection.driver_connection
    if driver.prepare_threshold is None:  # behind a pooler the time limits are those of a transaction
        connection.begin()  # rolled back when the connection returns to the pool
        return read()
    driver.autocommit = True  # one round trip; BEGIN and ROLLBACK would be two more
    try:
        return read()
    finally:
        if not driver.closed:
            driver.autocommit = False


def _to_driver(of: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    return of.dialect_impl(dialect).bind_processor(dialect) or _same


def _from_driver(of: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    return of.dialect_impl(dialect).result_processor(dialect, None) or _same


def _same(value: Any) -> Any:
    return value
