"""Run schema migrations, and check whether the schema is current."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app

from app import installation
from app.db.engine import db, is_sqlite

MIGRATIONS = installation.root() / "migrations"
LATEST = "head"


def upgrade(revision: str = LATEST) -> None:
    """Migrate forward to `revision`. Safe in several processes (PostgreSQL: lock in migrations/env.py)."""
    with _one_at_a_time():
        command.upgrade(_config(), revision)


def downgrade(revision: str) -> None:
    """Migrate back to `revision` ("base" removes every table)."""
    with _one_at_a_time():
        command.downgrade(_config(), revision)


def is_current() -> bool:
    """Return whether the schema is current. Raises OperationalError if the database can't be reached."""
    with db.engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory.from_config(_config()).get_current_head()


def of_models(_thing: object, name: str | None, _kind: str, _reflected: bool, _compared: object) -> bool:
    """Return whether the models describe an object of the database; the search indexes are only in migrations.

    For Alembic, which would otherwise drop the objects that models do not describe.
    """
    return not (name or "").startswith("search_")


def _config() -> Config:
    config: Config = current_app.extensions["migrate"].migrate.get_config(str(MIGRATIONS))
    return config


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    path = db.engine.url.database
    if not is_sqlite() or not path or path == ":memory:":
        yield
        return
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Path(f"{path}.migrate").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
