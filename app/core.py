"""The app without web and API: settings and database, for workers, the scheduler and commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from app import installation, settings
from app.db import engine, transaction
from app.errors import Incomplete, Unavailable
from app.models import account, alert, audit, call, conversation, erasure, identity, ingest, process, run, stats, user

# Imported, so that migrations and foreign keys see all tables.
TABLES = (account, alert, audit, call, conversation, erasure, identity, ingest, process, run, stats, user)


def create_core() -> Flask:
    """Return an app without routes for the current settings. Raises SettingsError and Incomplete."""
    return init_app(Flask("nametag", root_path=str(installation.root()), static_folder=None))


def init_app(app: Flask) -> Flask:
    """Configure secret key and database of `app` from the current settings. Raises SettingsError and Incomplete."""
    root = installation.root()
    if missing := [folder for folder in installation.FOLDERS if not (root / folder).is_dir()]:
        raise Incomplete(missing, root)
    app.config["SECRET_KEY"] = settings.current().secret_key
    app.instance_path = str(settings.current().data_dir)  # the base of a relative SQLite path in DATABASE_URL
    engine.init_app(app)
    return app


@contextmanager
def app_context_of(app: Flask) -> Iterator[Flask]:
    """Push the context of `app` for a block. Closes database connections at its end."""
    with app.app_context():
        try:
            yield app
        finally:
            engine.db.session.remove()
            engine.db.engine.dispose()


@contextmanager
def app_context() -> Iterator[Flask]:
    """Create an app and push its context for a block outside a request. Raises Unavailable for a lost database."""
    try:
        with app_context_of(create_core()) as app:
            yield app
    except transaction.DatabaseUnavailable as error:
        raise Unavailable("database") from error
