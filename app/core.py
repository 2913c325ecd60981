"""The app without its doors: settings and database, which is all that workers, the scheduler and commands need."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from app import settings
from app.db import engine, migrate, transaction
from app.errors import Incomplete, Unavailable
from app.models import identity, inbox, run, user

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("migrations", "static", "templates")  # beside the package, so a wheel does not have them
TABLES = (identity, inbox, run, user)  # imported, so that migrations and relationships know them all


def create_core() -> Flask:
    """Return an app of the current settings that serves nothing; raises SettingsError when one of them is wrong."""
    return init_app(Flask("nametag", root_path=str(ROOT), static_folder=None))


def init_app(app: Flask) -> Flask:
    """Give `app` the secret and the database of the current settings; raises SettingsError and Incomplete."""
    missing = [folder for folder in FOLDERS if not (ROOT / folder).is_dir()]
    if missing:
        raise Incomplete(missing, ROOT)
    app.config["SECRET_KEY"] = settings.current().secret_key
    app.instance_path = str(settings.current().data_dir)  # where a relative SQLite path of DATABASE_URL is
    engine.init_app(app)
    Migrate(app, engine.db, directory=str(migrate.MIGRATIONS))
    return app


@contextmanager
def app_context_of(app: Flask) -> Iterator[Flask]:
    """Push the app's context for one block, and close its connections afterwards."""
    with app.app_context():
        try:
            yield app
        finally:
            engine.db.session.remove()
            engine.db.engine.dispose()


@contextmanager
def app_context() -> Iterator[Flask]:
    """Open an app for one block outside a request; raises Unavailable when the database goes away in it."""
    try:
        with app_context_of(create_core()) as app:
            yield app
    except transaction.DatabaseUnavailable as error:
        raise Unavailable("database") from error
