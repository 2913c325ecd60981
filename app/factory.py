"""Application factory: create the Flask app with all blueprints and the API."""

from flask import Flask
from flask_openapi3 import OpenAPI
from jinja2 import StrictUndefined

from app import core, installation
from app.api import blueprint as api
from app.db import transaction
from app.errors import Unavailable
from app.web import (
    accounts,
    alert_receivers,
    alerts,
    assets,
    audit,
    avatars,
    dead_letters,
    deletions,
    error_pages,
    filters,
    gaps,
    headers,
    health,
    identities,
    insights,
    jobs,
    oidc,
    palette,
    pins,
    preferences,
    queue_dashboard,
    rendering,
    request_metrics,
    schedules,
    session,
    shortcuts,
    trusted_hosts,
    users,
    webhooks,
)
from app.web import inbox as inbox_pages


def create_app() -> Flask:
    """Return the web app for the current settings. Raises SettingsError and Incomplete."""
    root = str(installation.root())
    app = api.new_app("nametag", root_path=root, static_folder="static", template_folder="templates")
    app.jinja_env.undefined = StrictUndefined
    core.init_app(app)
    _init_web(app)
    return app


def _init_web(app: OpenAPI) -> None:
    app.before_request(transaction.begin_request)
    app.teardown_request(transaction.end_request)
    webhooks.init_app(app, transaction.limited_request)
    headers.init_app(app)  # around the above: adds headers to all responses
    trusted_hosts.init_app(app)
    request_metrics.init_app(app)
    assets.init_app(app)
    filters.init_app(app)
    rendering.init_app(app)
    shortcuts.init_app(app)
    error_pages.init_app(app)
    for error in transaction.DatabaseUnavailable:
        app.register_error_handler(error, lambda _: error_pages.error_response(Unavailable("database")))
    csrf = session.init_app(app)
    csrf.exempt(webhooks.blueprint)
    for page in (
        health,
        webhooks,
        inbox_pages,
        jobs,
        schedules,
        alerts,
        alert_receivers,
        identities,
        accounts,
        insights,
        palette,
        pins,
        preferences,
        dead_letters,
        deletions,
        avatars,
        audit,
        users,
        gaps,
    ):
        app.register_blueprint(page.blueprint)
    oidc.init_app(app)
    queue_dashboard.init_app(app)
    csrf.exempt(api.init_app(app))  # it accepts tokens, and no cookies
