"""Database schema: `nametag db …`, and the check that no process starts with another schema than its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask

from app import core, installation, settings
from app.backup import transfer
from app.cli import output
from app.db import migrate
from app.db.migrate import Schema, SchemaState
from app.db.transaction import DatabaseUnavailable
from app.text import plural

# Exit status of `db status`; 1 is a database that can't be reached.
STATUS = {SchemaState.CURRENT: 0, SchemaState.BEHIND: 3, SchemaState.AHEAD: 4}


@click.group()
def db() -> None:
    """Manage the database schema."""


@db.command("status")
@output.as_json
def status_command(as_json: bool) -> None:
    """Show the revision of the database and the one wanted. Exit status 0: current, 3: behind, 4: ahead."""
    with core.app_context() as app:
        found = _schema(app)
    if as_json:
        output.show(found)
    else:
        _show_status(found)
    raise click.exceptions.Exit(STATUS[found.state])


@db.command("upgrade")
def upgrade_command() -> None:
    """Apply pending migrations."""
    with core.app_context() as app:
        upgrade(app)
    click.echo("The database schema is up to date.")


@db.command("downgrade")
@click.argument("revision", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade_command(revision: str | None, yes: bool) -> None:
    """Go back to the revision of the previous release, or to REVISION. Stop every process first.

    Run it before you install the previous release: only this one knows how to go back.
    """
    with core.app_context() as app:
        found = _schema(app)
        _refuse_newer(found)
        target = _target(found, revision)
        if not yes:
            click.confirm(
                f"Go back from revision {found.revision} to {target}? What only the newer schema stores is deleted. "
                "Make a backup first: nametag backup FILE",
                abort=True,
            )
        with app.app_context(), _explained():
            migrate.downgrade(target)
    click.echo(f"The database schema is at revision {target}. Install the release that it belongs to.")


@db.command("copy")
@click.option("--to", "url", required=True, help="DATABASE_URL of an empty database; - reads it from standard input.")
@output.as_json
def copy_command(url: str, as_json: bool) -> None:
    """Copy everything to an empty database, SQLite or PostgreSQL, and compare both."""
    with core.app_context():
        with settings.using(database_url=_target_url(url)):
            target = core.create_core()
        copied = transfer.copy(target)
    if as_json:
        output.show(copied)
    else:
        rows = sum(copied.values())
        click.echo(f"Copied {plural(rows, 'row')} of {plural(len(copied), 'table')}; counts and digests are equal.")
        click.echo("Set DATABASE_URL to the new database, and start all processes.")


def upgrade(app: Flask) -> None:
    """Apply pending migrations to the database of `app`. Raises ClickException with one line."""
    found = _schema(app)
    _refuse_newer(found)
    if found.state is SchemaState.BEHIND:
        with app.app_context(), _explained():
            migrate.upgrade()


def require_current(app: Flask) -> None:
    """Raise ClickException unless the database of `app` has the current schema."""
    found = _schema(app)
    if found.problem:
        raise click.ClickException(f"{found.problem} {found.fix}")


def _target_url(given: str) -> str:
    url = output.secret_from_stdin("DATABASE_URL of the target") if given == "-" else given
    try:
        return settings.known_database(url)
    except ValueError as error:
        raise click.UsageError(f"--to {error}.") from error


def _schema(app: Flask) -> Schema:
    with app.app_context(), _explained():
        return migrate.schema()


def _show_status(found: Schema) -> None:
    output.facts(
        (
            ("State", found.state),
            ("Revision here", found.revision or "none"),
            ("Revision wanted", found.wanted),
            ("Migrated by", found.version),
            ("This version", installation.VERSION),
        )
    )
    if found.problem:
        output.say(f"{found.problem} {found.fix}")


def _refuse_newer(found: Schema) -> None:
    if found.state is SchemaState.AHEAD:
        raise click.ClickException(f"{found.problem} {found.fix}")


def _target(found: Schema, revision: str | None) -> str:
    if revision is None:
        release = migrate.previous_release()
        if release is None:
            raise click.ClickException("There is no earlier release. Nothing was changed. Name a revision.")
        revision = release[1]
    known = migrate.revisions()
    present = known.index(found.revision) if found.revision in known else -1
    if revision not in known[: max(present, 0)]:
        raise click.ClickException(
            f"{revision} is not a revision before {found.revision or 'the first one'}. Nothing was changed."
        )
    return revision


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DatabaseUnavailable as error:
        raise click.ClickException(_UNREACHABLE) from error


_UNREACHABLE = "Can't connect to the database. Check DATABASE_URL and that the server is running."
