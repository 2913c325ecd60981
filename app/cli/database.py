"""The door to migrations: `nametag db …`, and the check that keeps every process off a schema it does not know."""

import click
from alembic.util import CommandError
from flask import Flask

from app import core
from app.db import migrate
from app.db.transaction import DatabaseUnavailable


@click.group()
def db() -> None:
    """Bring the database to what this version knows."""


@db.command("upgrade")
def upgrade_command() -> None:
    """Run the migrations that are missing."""
    with core.app_context() as app:
        upgrade(app)
    click.echo("The database is up to date.")


def upgrade(app: Flask) -> None:
    """Migrate the app's database; raises ClickException with one line when that cannot be done."""
    try:
        with app.app_context():
            migrate.upgrade()
    except DatabaseUnavailable as error:
        raise click.ClickException(_AWAY) from error
    except CommandError as error:
        raise click.ClickException(f"The database cannot be migrated: {error}") from error


def require_current(app: Flask) -> None:
    """Raise ClickException unless the app's database has the schema that this version knows."""
    try:
        with app.app_context():
            current = migrate.is_current()
    except DatabaseUnavailable as error:
        raise click.ClickException(_AWAY) from error
    if not current:
        raise click.ClickException("The database is not migrated: run `nametag db upgrade`.")


_AWAY = "The database cannot be reached: check DATABASE_URL and that its server runs."
