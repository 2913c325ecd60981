"""create_app(): puts the rooms together; every process of ours that needs the database starts here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_openapi3 import OpenAPI
from jinja2 import StrictUndefined

from app import settings
from app.api import blueprint as api
from app.db import engine, migrate, transaction
from app.errors import Unavailable
from app.models import identity, inbox, run, user
from app.web import (
    accounts,
    assets,
    audit,
    avatars,
    dead_letters,
    deletions,
    filters,
    headers,
    health,
    hosts,
    identities,
    insights,
    jobs,
    oidc,
    page,
    people,
    preferences,
    queue_dashboard,
    session,
    webhooks,
)
from app.web import inbox as inbox_pages

ROOT = Path(__file__).resolve().parents[1]
TABLES = (identity, inbox, run, user)  # imported, so that migrations and relationships know them all


def create_app() -> Flask:
    """Return the app of the current settings; raises SettingsError when one of them is wrong."""
    chosen = settings.current()
    app = api.new_app("nametag", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.config["SECRET_KEY"] = chosen.secret_key
    app.jinja_env.undefined = StrictUndefined
    engine.connect(app)
    Migrate(app, engine.db, directory=str(migrate.MIGRATIONS))
    _open_doors(app)
    return app


@contextmanager
def opened() -> Iterator[Flask]:
    """Open the app for one block outside a request, and close its connections afterwards.

    Raises Unavailable when the database goes away in it.
    """
    app = create_app()
    try:
        with app.app_context():
            try:
                yield app
            finally:
                engine.db.session.remove()
                engine.db.engine.dispose()
    except transaction.DatabaseAway as error:
        raise Unavailable("database") from error


def _open_doors(app: OpenAPI) -> None:
    headers.connect(app)  # first in, last out: it dresses what all others answer
    hosts.connect(app)
    assets.connect(app)
    filters.connect(app)
    page.connect(app)
    for kind in transaction.DatabaseAway:
        app.register_error_handler(kind, lambda _: page.ours(Unavailable("database")))
    csrf = session.connect(app)
    csrf.exempt(webhooks.blueprint)
    for door in (
        health,
        webhooks,
        inbox_pages,
        jobs,
        identities,
        accounts,
        insights,
        preferences,
        dead_letters,
        deletions,
        avatars,
        audit,
        people,
    ):
        app.register_blueprint(door.blueprint)
    oidc.connect(app)
    queue_dashboard.connect(app)
    csrf.exempt(api.connect(app))  # it takes tokens, and no cookie
