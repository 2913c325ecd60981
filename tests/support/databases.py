"""A migrated, empty database for each test: a copied SQLite file, or emptied PostgreSQL tables."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from app import core, settings
from app.db import migrate
from tests.support import postgresql

app_context_of = core.app_context_of


def migrated_file(folder: Path) -> Path:
    """Return a migrated SQLite file in `folder`, to be copied and never opened itself."""
    path = folder / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


def copy_of(template: Path, folder: Path) -> str:
    """Return the URL of a new copy of `template` in `folder`."""
    shutil.copyfile(template, folder / "nametag.sqlite3")
    return f"sqlite:///{folder / 'nametag.sqlite3'}"


def file_of(database_url: str) -> Path:
    """Return the file of a SQLite database."""
    return Path(database_url.removeprefix("sqlite:///"))


def copy_over(source: Path, target: Path) -> None:
    """Replace all rows of a SQLite file with those of another, in one transaction; processes may have both open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target, timeout=20)) as other:
        one.backup(other)


def migrated_database(server_url: URL) -> URL:
    """Return the URL of a migrated PostgreSQL database, made once and emptied before each test."""
    postgresql.drop(server_url, "nametag_tests")
    url = postgresql.create(server_url, "nametag_tests")
    upgrade(address(url))
    return url


def address(url: URL) -> str:
    """Return `url` as the text that DATABASE_URL takes."""
    return url.render_as_string(hide_password=False)


def upgrade(database_url: str) -> None:
    """Migrate a database to the newest revision."""
    with settings.using(database_url=database_url), app_context_of(core.create_core()):
        migrate.upgrade()
