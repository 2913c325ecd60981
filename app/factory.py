"""create_app(): puts the rooms together and opens the doors; the web server starts here."""

from flask import Flask
from flask_openapi3 import OpenAPI
from jinja2 import StrictUndefined

from app import core
from app.api import blueprint as api
from app.db import transaction
from app.errors import Unavailable
from app.web import (
    accounts,
    assets,
    audit,
    avatars,
    dead_letters,
    deletions,
    error_pages,
    filters,
    headers,
    health,
    identities,
    insights,
    jobs,
    oidc,
    preferences,
    queue_dashboard,
    rendering,
    session,
    trusted_hosts,
    users,
    webhooks,
)
from app.web import inbox as inbox_pages


def create_app() -> Flask:
    """Return the app of the current settings; raises SettingsError when one of them is wrong."""
    app = api.new_app("nametag", root_path=str(core.ROOT), static_folder="static", template_folder="templates")
    app.jinja_env.undefined = StrictUndefined
    core.init_app(app)
    _init_web(app)
    return app


def _init_web(app: OpenAPI) -> None:
    app.before_request(transaction.begin_request)
    app.teardown_request(transaction.end_request)
    headers.init_app(app)  # first in, last out: it dresses what all others answer
    trusted_hosts.init_app(app)
    assets.init_app(app)
    filters.init_app(app)
    rendering.init_app(app)
    error_pages.init_app(app)
    for kind in transaction.DatabaseUnavailable:
        app.register_error_handler(kind, lambda _: error_pages.error_response(Unavailable("database")))
    csrf = session.init_app(app)
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
        users,
    ):
        app.register_blueprint(door.blueprint)
    oidc.init_app(app)
    queue_dashboard.init_app(app)
    csrf.exempt(api.init_app(app))  # it takes tokens, and no cookie
