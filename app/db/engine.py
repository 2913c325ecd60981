"""The engine per dialect, the declarative base, and what makes both safe over a fork."""

import os
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase

from app import settings

WAIT_SECONDS = 2  # how long a writer waits for another before the answer is 503 (reliability.md F1)
STATEMENT_SECONDS = 5
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table's base; constraints get predictable names, so that migrations can find them."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # mypy cannot see through Flask-SQLAlchemy's generated base


def connect(app: Flask) -> None:
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


def _sqlite_options() -> dict[str, Any]:
    return {"pool_size": 10, "max_overflow": 10, "pool_timeout": WAIT_SECONDS}


def _postgresql_options() -> dict[str, Any]:
    limits = f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout={STATEMENT_SECONDS}s -c timezone=UTC"
    return {
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": WAIT_SECONDS,
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": WAIT_SECONDS, "options": limits},
    }


def _watch(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
    # A forked child must not talk through its parent's connections (dependencies.md 4).
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))


def _sqlite_connected(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = (
        None  # we say BEGIN ourselves: the driver opens no transaction for a SELECT (reliability.md M8)
    )
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={WAIT_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("sqlite_begin", "DEFERRED"))
