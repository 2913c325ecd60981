"""Connections to PostgreSQL, directly or through a connection pooler such as PgBouncer."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from app.settings import SettingsError

LOCK_SECONDS = 1  # how long a statement waits for a row: with what a request waited before, under 3 s
STATEMENT_SECONDS = 5
READ_ONLY = "25006"  # SQLSTATE read_only_sql_transaction: after a failover, or when a provider's disk is full
# PgBouncer and Neon refuse a "startup parameter", RDS Proxy "command-line options".
_OPTIONS_REFUSED = re.compile(r"startup parameter|command-line options", re.IGNORECASE)


def configure(engine: Engine) -> None:
    """Give each transaction of `engine` its time limits, and discard connections whose server became read-only."""
    session = {
        "lock_timeout": f"{LOCK_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "TimeZone": "UTC",
        "plan_cache_mode": "force_generic_plan",  # planning a lookup by key for each execution costs more than it does
        # Without the value of a limit, PostgreSQL expects a tenth of the table, for which it would start processes or
        # compile. Both take longer than reading the 40 rows of a page.
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }

    def connect(
        dialect: Dialect, _record: ConnectionPoolEntry, _arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> DBAPIConnection:
        behind_pooler = event.contains(engine, "begin", set_locally)
        connection: Any = _connected(dialect, options, {} if behind_pooler else session)
        _require_utf8(connection)
        if behind_pooler or _is_pooled(connection, session):
            # The next transaction may run on another server connection, which has neither these settings nor what was
            # prepared on this one.
            connection.prepare_threshold = None
            event.listen(engine, "begin", set_locally)  # a second time changes nothing
        return connection  # type: ignore[no-any-return]

    def set_locally(connection: Connection) -> None:
        connection.exec_driver_sql(locally).close()

    locally = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in session.items())
    event.listen(engine, "do_connect", connect)
    event.listen(engine, "handle_error", _unavailable_if_read_only)


def _connected(dialect: Dialect, options: Mapping[str, Any], session: Mapping[str, str]) -> DBAPIConnection:
    ours = [f"-c {name}={value}" for name, value in session.items()]
    try:
        return dialect.connect(**{**options, "options": " ".join([*ours, options.get("options", "")])})
    except dialect.loaded_dbapi.OperationalError as error:
        if not _OPTIONS_REFUSED.search(str(error)):
            raise
    return dialect.connect(**options)


def _require_utf8(connection: Any) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise SettingsError(
            f"DATABASE_URL must name a database with the encoding UTF8, not {encoding}. Nothing was changed. "
            "Create one: createdb --encoding=UTF8 --template=template0 NAME"
        )


def _is_pooled(connection: Any, session: Mapping[str, str]) -> bool:
    # A pooler gives its clients process IDs of its own, or drops the options.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), current_setting('plan_cache_mode')")
        found = cursor.fetchone()
    connection.rollback()
    return bool(found != (connection.info.backend_pid, session["plan_cache_mode"]))


def _unavailable_if_read_only(context: ExceptionContext) -> Exception | None:
    if getattr(context.original_exception, "sqlstate", None) != READ_ONLY:
        return None
    context.is_disconnect = True  # discards the pool: its connections may lead to a server that was demoted
    return OperationalError(context.statement, context.parameters, context.original_exception, hide_parameters=True)
