"""Database engine for SQLite and PostgreSQL, declarative base, and session. Safe across forks."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from app import clock, settings
from app.db import postgresql

WAIT_SECONDS = 2  # a writer, or a whole request, waits at most this long before it fails with 503
CLOSE_SECONDS = 0.1  # a smaller difference of the wait is not worth a statement
IDLE_SECONDS = 2  # a pooled connection that was unused for longer is tested first
TRUNCATE_MS = 200  # how long truncating the log waits for readers, and writers for it
CHECKPOINT_PAGES = 4000  # of 4 KiB: pages that many deliveries change are written back once
LOG_BYTES = CHECKPOINT_PAGES * 4096  # size to which SQLite's write-ahead log is cut
# Errors contain no values (names, texts), because errors are logged.
POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 10, "pool_timeout": WAIT_SECONDS, "hide_parameters": True}
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


writing: ContextVar[Connection | None] = ContextVar(
    "the connection of this thread's open write transaction", default=None
)
write_wait_seconds: ContextVar[float | None] = ContextVar(
    "how long the write transaction that begins may wait for SQLite; None: it is a read", default=None
)


class Base(DeclarativeBase):
    """Base of all tables. Constraints get predictable names, so that migrations can find them."""

    metadata = MetaData(naming_convention=NAMING)


class JoiningSession(Session):
    """Session that uses the connection of the open write transaction, or its own connection without one.

    A transaction with Core statements only then needs no session.
    """

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        """Return the connection or engine of the session's next transaction."""
        joined = writing.get()
        return super().get_bind(*args, **kwargs) if joined is None else joined


db = SQLAlchemy(model_class=Base, session_options={"class_": JoiningSession})

if TYPE_CHECKING:
    import sqlite3

    Model = Base
else:
    Model = db.Model  # mypy cannot see through Flask-SQLAlchemy's generated base


def init_app(app: Flask) -> None:
    """Configure the database of the current settings for `app`. Opens no connection."""
    url = settings.current().database_address
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _sqlite_options() if url.startswith("sqlite") else _postgresql_options()
    db.init_app(app)
    with app.app_context():
        _watch(db.engine)


def is_sqlite() -> bool:
    """Return whether the current app's database is SQLite."""
    return db.engine.dialect.name == "sqlite"


def is_read_only() -> bool:
    """Return whether PostgreSQL refuses changes. Raises OperationalError if it can't be reached."""
    if is_sqlite():
        return False
    with db.engine.connect() as connection:
        return bool(connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on")


def empty_log() -> None:
    """Write SQLite's write-ahead log to the database file and truncate it, so that it contains no deleted text.

    A long read prevents that. Writers wait during the call, so it gives up early; the next call tries again.
    """
    if is_sqlite():
        connection = db.engine.raw_connection()  # a checkpoint is impossible inside a transaction
        try:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={TRUNCATE_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        finally:
            connection.invalidate()  # a pooled connection would keep this time limit


def trim_log() -> None:
    """Truncate SQLite's write-ahead log if it is larger than LOG_BYTES, without waiting for readers or writers."""
    path = db.engine.url.database
    log = Path(f"{path}-wal")
    if not is_sqlite() or not log.exists() or log.stat().st_size <= LOG_BYTES:
        return
    connection = db.engine.raw_connection()
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        [(_, pages, written_back)] = cursor.fetchall()
        if pages == written_back:  # otherwise a reader still needs the log
            cursor.execute("PRAGMA busy_timeout=0")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")
    finally:
        cursor.close()
        connection.close()


def _sqlite_options() -> dict[str, Any]:
    return POOL


def _postgresql_options() -> dict[str, Any]:
    return POOL | {"connect_args": {"connect_timeout": WAIT_SECONDS}}


def _watch(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
    else:
        postgresql.configure(engine)
        event.listen(engine, "checkin", _record_use)
        event.listen(engine, "checkout", _test_if_idle(engine))
    _engines.add(engine)


_engines: WeakSet[Engine] = WeakSet()


def _drop_inherited_connections() -> None:
    # A forked child must not use its parent's connections.
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_drop_inherited_connections)


def _sqlite_connected(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # _sqlite_begin sends BEGIN: the driver would open no transaction for a SELECT
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={WAIT_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        f"journal_size_limit={LOG_BYTES}",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # Directly on the driver: SQLAlchemy's execution takes longer than the BEGIN itself.
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # of this dialect
    wait_seconds = write_wait_seconds.get()
    begin = "BEGIN DEFERRED" if wait_seconds is None else "BEGIN IMMEDIATE"
    is_short = wait_seconds is not None and wait_seconds < WAIT_SECONDS - CLOSE_SECONDS
    try:
        if is_short:
            driver.execute(f"PRAGMA busy_timeout={int((wait_seconds or 0) * 1000)}")
        driver.execute(begin)
    except connection.dialect.loaded_dbapi.Error as error:  # not imported: PostgreSQL does not need this driver
        raise OperationalError(begin, None, error) from error
    finally:
        if is_short:
            driver.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")


def _record_use(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = clock.monotonic()


def _test_if_idle(engine: Engine) -> Callable[[DBAPIConnection, ConnectionPoolEntry, object], None]:
    driver_error = engine.dialect.loaded_dbapi.Error  # not imported: with SQLite the driver is never loaded

    def test(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        # pool_pre_ping tests before every use, a round trip in each delivery; a recently used connection works.
        if clock.monotonic() - record.info.get("used_at", 0.0) < IDLE_SECONDS:
            return
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            cursor.close()
            connection.rollback()
        except driver_error as error:
            raise DisconnectionError from error

    return test
