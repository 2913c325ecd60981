"""The engine per dialect, the declarative base, and what makes both safe over a fork."""

import os
import sqlite3
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

WAIT_SECONDS = 2  # how long a writer, and a request in all, waits for others before the answer is 503
CLOSE_SECONDS = 0.1  # a difference in waiting that is not worth a statement
IDLE_SECONDS = 2  # a pooled connection that was not used for longer is tried before it is trusted
TRUNCATE_MS = 200  # how long truncating the log waits for readers, and writers for it
CHECKPOINT_PAGES = 4000  # of 4 KiB: pages that many deliveries change are written back once
LOG_BYTES = CHECKPOINT_PAGES * 4096  # what SQLite's write-ahead log is cut to once a reader no longer needs more
# Errors repeat no values: names and texts are among them, and errors are logged (reliability.md S43).
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
    """Every table's base; constraints get predictable names, so that migrations can find them."""

    metadata = MetaData(naming_convention=NAMING)


class JoiningSession(Session):
    """Reads and writes on the open write transaction's connection, while there is one, and else on one of its own.

    So a transaction whose statements are all Core pays nothing for the ORM's bookkeeping.
    """

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        """Return what the session's next transaction runs on."""
        joined = writing.get()
        return super().get_bind(*args, **kwargs) if joined is None else joined


db = SQLAlchemy(model_class=Base, session_options={"class_": JoiningSession})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # mypy cannot see through Flask-SQLAlchemy's generated base


def init_app(app: Flask) -> None:
    """Bind the database of the current settings to `app`; no connection is made yet."""
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
    """Return whether PostgreSQL refuses changes; raises OperationalError when it can't be reached."""
    if is_sqlite():
        return False
    with db.engine.connect() as connection:
        return bool(connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on")


def empty_log() -> None:
    """Write SQLite's log into the database file and truncate it, so that no deleted text stays in it.

    A long read prevents that for now. Writers wait meanwhile, so it gives up early: the next call succeeds.
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
    """Cut SQLite's write-ahead log if it has grown beyond LOG_BYTES; wait for no reader and no writer."""
    path = db.engine.url.database
    log = Path(f"{path}-wal")
    if not is_sqlite() or not log.exists() or log.stat().st_size <= LOG_BYTES:
        return
    connection = db.engine.raw_connection()
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        [(_, pages, written_back)] = cursor.fetchall()
        if pages == written_back:  # else a reader still needs the log
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
        event.listen(engine, "checkin", _used)
        event.listen(engine, "checkout", _trying(engine))
    _engines.add(engine)


_engines: WeakSet[Engine] = WeakSet()


def _part_from_parent() -> None:
    # A forked child must not talk through its parent's connections (dependencies.md 4).
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_part_from_parent)


def _sqlite_connected(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = (
        None  # we say BEGIN ourselves: the driver opens no transaction for a SELECT (reliability.md M8)
    )
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
    # Past SQLAlchemy's execution of statements, which costs a delivery more than the BEGIN itself.
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # of this dialect
    wait_seconds = write_wait_seconds.get()
    begin = "BEGIN DEFERRED" if wait_seconds is None else "BEGIN IMMEDIATE"
    is_short = wait_seconds is not None and wait_seconds < WAIT_SECONDS - CLOSE_SECONDS
    try:
        if is_short:
            driver.execute(f"PRAGMA busy_timeout={int((wait_seconds or 0) * 1000)}")
        driver.execute(begin)
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error) from error
    finally:
        if is_short:
            driver.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")


def _used(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = clock.monotonic()


def _trying(engine: Engine) -> Callable[[DBAPIConnection, ConnectionPoolEntry, object], None]:
    driver_error = engine.dialect.loaded_dbapi.Error  # not imported: with SQLite the driver is never loaded

    def tried(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        # pool_pre_ping asks before every use, which is a round trip in each delivery; who was just used is there.
        if clock.monotonic() - record.info.get("used_at", 0.0) < IDLE_SECONDS:
            return
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            cursor.close()
            connection.rollback()
        except driver_error as error:
            raise DisconnectionError from error

    return tried
