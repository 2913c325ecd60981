"""Back up to a file, restore from it, and copy to another database, each in one transaction."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask
from sqlalchemy import Connection, inspect, select

from app import change_tokens, installation
from app.backup import archive, deletions, tables
from app.backup.archive import Archive, Head
from app.backup.deletions import Deletion, RepeatedDeletions
from app.backup.tables import Tally
from app.db import engine, migrate, transaction
from app.db.migrate import Schema, SchemaState
from app.db.transaction import Tx
from app.db.types import SecretUnreadable
from app.errors import Conflict, Invalid
from app.models.account import Account

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore: the backup, the deletions that were repeated, and accounts that must be reconnected.

    `unreadable` are the accounts whose access token no configured key decrypts; `missing_keys` are the fingerprints of
    keys that the backup was made with.
    """

    backup: Head
    replayed: RepeatedDeletions = field(default_factory=RepeatedDeletions)
    unreadable: list[str] = field(default_factory=list)
    missing_keys: list[str] = field(default_factory=list)


def back_up(path: Path) -> Head:
    """Write the whole database to a new file while others write. Raises Conflict."""
    with tables.snapshot() as connection:
        found = migrate.schema_of(connection)
        return archive.write(path, connection, _known_revision(found))


def restore(path: Path, *, replace: bool = False, deletions_file: Path | None = None) -> Restored:
    """Restore a backup into the database, migrate it to the newest schema, and delete again what was deleted since.

    Changes all or nothing. `replace` allows a database with rows, which it drops. Raises Invalid for a damaged file,
    Conflict for a backup of a newer version or a database in use.
    """
    known = deletions.listed(deletions_file)
    with archive.opened(path) as backup:
        _require_known(backup.head)
        migrate.make_folder()
        with transaction.write() as tx:
            tables.lift_limits(tx.connection)
            known += _make_room(tx.connection, replace=replace)
            _fill(tx.connection, backup)
            migrate.upgrade(connection=tx.connection)
            replayed = deletions.replay(tx, known, backed_up_at=backup.head.at)
            unreadable = _unreadable(tx)
    engine.empty_log()  # it holds what was replaced
    change_tokens.mark_all_changed()
    logger.warning("database restored", extra={"backed_up_at": backup.head.at.isoformat()})
    return Restored(backup.head, replayed, unreadable, list(archive.fingerprints_missing(backup.head)))


def copy(target: Flask) -> dict[str, int]:
    """Copy all rows to the empty database of `target`, and compare both. Returns the rows of each table.

    Changes all or nothing. Raises Conflict if the target is in use or holds something else than was read.
    """
    with tables.snapshot() as source:
        if migrate.schema_of(source).state is not SchemaState.CURRENT:
            raise Conflict("The schema of this database is not current. Nothing was copied. Run `nametag db upgrade`.")
        with target.app_context():
            migrate.make_folder()
            with transaction.write() as tx:
                return _copy_all(source, tx.connection)


def _copy_all(source: Connection, target: Connection) -> dict[str, int]:
    tables.lift_limits(target)
    _make_room(target, replace=False)
    migrate.upgrade(connection=target)
    present = {each.name: each for each in tables.describe(target)}
    copied = {each.name: _copy_table(source, each, target, present[each.name]) for each in tables.describe(source)}
    tables.continue_sequences(target, present.values())
    return copied


def _known_revision(found: Schema) -> str:
    if found.revision is None:
        raise Conflict("The database has no tables. No backup was made.")
    if found.state is SchemaState.AHEAD:
        raise Conflict(f"{found.problem} No backup was made. Make it with that version.")
    return found.revision


def _require_known(head: Head) -> None:
    if head.revision not in migrate.revisions():
        raise Conflict(
            f"Nametag {head.version} made this backup, with the revision {head.revision}. This is Nametag "
            f"{installation.VERSION}, which knows revisions up to {migrate.revisions()[-1]}. Nothing was "
            f"changed. Install Nametag {head.version}."
        )


def _make_room(connection: Connection, *, replace: bool) -> list[Deletion]:
    """Drop all tables; return the deletions that they knew."""
    present = inspect(connection).get_table_names()
    if present and migrate.VERSION_TABLE not in present:
        raise Conflict("The database has tables of other software. Nothing was changed. Use a database of its own.")
    if not present:
        return []
    if tables.has_rows(connection):
        if not replace:
            raise Conflict(
                "The database is in use. Nothing was changed. To replace everything in it, stop all processes and "
                "repeat the command with --replace."
            )
        known = deletions.stored(connection)
    else:
        known = []
    try:
        tables.drop_all(connection)
    except transaction.DatabaseUnavailable as error:  # a lock of a process that runs
        raise Conflict("Other processes use this database. Nothing was changed. Stop all of them.") from error
    return known


def _fill(connection: Connection, backup: Archive) -> None:
    migrate.upgrade(backup.head.revision, connection=connection)
    present = tables.describe(connection)
    if {each.name for each in present} != set(backup.head.tables):
        raise Invalid({"file": "The backup has other tables than its version. Nothing was changed."})
    for each in present:
        part = backup.head.tables[each.name]
        if set(part.columns) != set(each.types):
            raise Invalid({"file": f"The backup has other columns of {each.name}. Nothing was changed."})
        tables.write(connection, each, part.columns, backup.lines(each.name))
    tables.continue_sequences(connection, present)


def _unreadable(tx: Tx) -> list[str]:
    found = list[str]()
    rows = tx.execute(select(Account.ig_account_id, Account.token).where(Account.token.is_not(None)))
    for row in rows.all():
        try:
            row.token.reveal()
        except SecretUnreadable:
            found.append(row.ig_account_id)
    return found


def _copy_table(source: Connection, found: tables.Table, target: Connection, into: tables.Table) -> int:
    expected, arrived = Tally(), Tally()

    def counted() -> Iterator[bytes]:
        for line in tables.read(source, found):
            expected.add(line)
            yield line

    tables.write(target, into, list(found.types), counted())
    in_order = {name: into.types[name] for name in found.types}
    for line in tables.read(target, tables.Table(into.name, in_order, into.key)):
        arrived.add(line)
    if arrived != expected:
        raise Conflict(f"{found.name} arrived with other rows than were read. Nothing was copied. Please report this.")
    return expected.rows
