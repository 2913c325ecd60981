"""create_app(): puts the rooms together; every process of ours that needs the database starts here."""

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from app import settings
from app.db import engine, migrate
from app.models import identity, inbox, run, user

ROOT = Path(__file__).resolve().parents[1]


def create_app() -> Flask:
    """Return the app of the current settings; raises SettingsError when one of them is wrong."""
    chosen = settings.current()
    app = Flask("nametag", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.config["SECRET_KEY"] = chosen.secret_key
    engine.connect(app)
    assert all((identity, inbox, run, user))  # noqa
    Migrate(app, engine.db, directory=str(migrate.MIGRATIONS))
    return app
