"""Run schema migrations, and compare the schema of the database with the one that this version needs."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, inspect

from app import installation
from app.db.engine import db, is_sqlite

MIGRATIONS = installation.root() / "migrations"
RELEASES = MIGRATIONS / "releases.json"  # the newest revision of each release
LATEST = "head"
VERSION_TABLE = "alembic_version"
_DIGITS = 1_000  # of each part of a version in SQLite's user_version


class SchemaState(StrEnum):
    """How the schema of the database compares with the one that this version needs."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Schema:
    """The state of the schema: `revision` of the database, None without tables, and the `wanted` one.

    `version` is the version of Nametag that migrated the database last, None if unknown.
    """

    state: SchemaState
    revision: str | None
    wanted: str
    version: str | None = None

    @property
    def problem(self) -> str | None:
        """Why no process may start, in one sentence; None if the schema is current."""
        if self.state is SchemaState.BEHIND:
            return "The database schema is out of date."
        if self.state is SchemaState.AHEAD:
            needed = f"Nametag {self.version} or later" if self.version else "a newer version of Nametag"
            return (
                f"The database belongs to {needed}: its revision is {self.revision}, and this is Nametag "
                f"{installation.VERSION}, which knows revisions up to {self.wanted}."
            )
        return None

    @property
    def fix(self) -> str | None:
        """What to do about `problem`; None without one."""
        if self.state is SchemaState.BEHIND:
            return "Run `nametag db upgrade`."
        if self.state is SchemaState.AHEAD:
            needed = f"Nametag {self.version}" if self.version else "the newer version"
            return f"Install {needed}, or restore a backup that this version made. Nothing was changed."
        return None


def schema() -> Schema:
    """Return the state of the schema. Raises OperationalError if the database can't be reached."""
    with db.engine.connect() as connection:
        return schema_of(connection)


def schema_of(connection: Connection) -> Schema:
    """Return the state of the schema that a connection sees."""
    revision, wanted = _revision(connection), revisions()[-1]
    if revision == wanted:
        state = SchemaState.CURRENT
    else:
        state = SchemaState.BEHIND if revision is None or revision in revisions() else SchemaState.AHEAD
    return Schema(state, revision, wanted, _version(connection) if revision else None)


@lru_cache(maxsize=1)
def revisions() -> tuple[str, ...]:
    """Return the revisions that this version knows, oldest first: the numbers with which the names of files begin."""
    return tuple(sorted(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/*.py")))


def previous_release() -> tuple[str, str] | None:
    """Return version and revision of the newest release before this version; None before the second release."""
    released: dict[str, str] = json.loads(RELEASES.read_text())
    earlier = [version for version in released if _numbers(version) < _numbers(installation.VERSION)]
    newest = max(earlier, key=_numbers, default=None)
    return (newest, released[newest]) if newest else None


def upgrade(revision: str = LATEST, *, connection: Connection | None = None) -> None:
    """Migrate forward to `revision`, in the transaction of `connection` if given.

    Safe in several processes (PostgreSQL: lock in migrations/env.py).
    """
    with _one_at_a_time():
        _run("upgrade", revision, connection)


def downgrade(revision: str) -> None:
    """Migrate back to `revision` ("base" removes every table)."""
    with _one_at_a_time():
        _run("downgrade", revision)


def make_folder() -> None:
    """Create the folder of an SQLite database, which a new machine lacks."""
    path = db.engine.url.database
    if is_sqlite() and path and path != ":memory:":
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def record_version(connection: Connection) -> None:
    """Record in the database which version migrated it, so that an older one can name the version it needs.

    In a comment on PostgreSQL, in `user_version` on SQLite: a table would need a migration before it could be read.
    """
    if connection.dialect.name == "sqlite":
        major, minor, patch = _numbers(installation.VERSION)
        connection.exec_driver_sql(f"PRAGMA user_version = {(major * _DIGITS + minor) * _DIGITS + patch}")
    else:
        connection.exec_driver_sql(f"COMMENT ON TABLE {VERSION_TABLE} IS '{installation.VERSION}'")


def of_models(_thing: object, name: str | None, _kind: str, _reflected: bool, _compared: object) -> bool:
    """Return whether the models describe an object of the database; indexes on expressions are only in migrations.

    For Alembic, which would otherwise drop the objects that models do not describe.
    """
    return not (name or "").startswith(("search_", "list_"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _version(connection: Connection) -> str | None:
    if connection.dialect.name == "sqlite":
        number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        parts = (number // _DIGITS**2, number // _DIGITS % _DIGITS, number % _DIGITS)
        return ".".join(map(str, parts)) if number else None
    comment = f"SELECT obj_description('{VERSION_TABLE}'::regclass, 'pg_class')"
    found: str | None = connection.exec_driver_sql(comment).scalar()
    return found


def _numbers(version: str) -> tuple[int, int, int]:
    parts = [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:3]]
    major, minor, patch = (*parts, 0, 0)[:3]
    return major, minor, patch


def _run(command: str, revision: str, connection: Connection | None = None) -> None:
    # Imported here: all processes start with this module, and only a migration needs Alembic, which takes 0.3 s.
    from alembic import command as commands  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(MIGRATIONS / "alembic.ini", attributes={"connection": connection})
    getattr(commands, command)(config, revision)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    path = db.engine.url.database
    if not is_sqlite() or not path or path == ":memory:":
        yield
        return
    make_folder()
    with Path(f"{path}.migrate").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
