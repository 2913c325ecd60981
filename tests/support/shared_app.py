"""The web app of most tests: one per test process and kind of database.

Its routes and its cache of compiled SQL take longer to make than most tests take to run.
"""

from functools import cache
from typing import Any

from flask import Flask
from sqlalchemy import event, make_url

from app.db.engine import db
from app.factory import create_app
from tests.support.web_client import WebClient


def app_on(database_url: str) -> Flask:
    """Return the app, whose next connections are to this database. Create it from the current settings once."""
    url = make_url(database_url)
    app = _app(url.get_backend_name())
    with app.app_context():
        db.engine.url = url
    return app


@cache
def _app(_database_kind: str) -> Flask:
    app = create_app()
    app.test_client_class = WebClient
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "do_connect")
        def open_file(_dialect: object, _record: object, arguments: list[Any], _options: object) -> None:
            arguments[0] = engine.url.database

    return app
