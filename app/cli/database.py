"""Migrations: `nametag db …`, and the check that no process starts with an outdated schema."""

import click
from alembic.util import CommandError
from flask import Flask

from app import core
from app.db import migrate
from app.db.transaction import DatabaseUnavailable


@click.group()
def db() -> None:
    """Manage the database schema."""


@db.command("upgrade")
def upgrade_command() -> None:
    """Apply pending migrations."""
    with core.app_context() as app:
        upgrade(app)
    click.echo("The database schema is up to date.")


def upgrade(app: Flask) -> None:
    """Apply pending migrations to the database of `app`. Raises ClickException with one line."""
    try:
        with app.app_context():
            migrate.upgrade()
    except DatabaseUnavailable as error:
        raise click.ClickException(_UNREACHABLE) from error
    except CommandError as error:
        raise click.ClickException(f"Can't migrate the database: {error}") from error


def require_current(app: Flask) -> None:
    """Raise ClickException unless the database of `app` has the current schema."""
    try:
        with app.app_context():
            current = migrate.is_current()
    except DatabaseUnavailable as error:
        raise click.ClickException(_UNREACHABLE) from error
    if not current:
        raise click.ClickException("The database schema is out of date. Run `nametag db upgrade`.")


_UNREACHABLE = "Can't connect to the database. Check DATABASE_URL and that the server is running."
