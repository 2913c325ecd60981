"""Runs migrations on the app's engine. Alembic's own command, which `make migration` runs, has no app yet."""

from contextlib import nullcontext
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import has_app_context
from sqlalchemy import JSON, inspect, text

from app import core
from app.db import migrate
from app.db.engine import db
from app.db.types import EnumText, SecretText, UTCDateTime

LOCK = 7_266_811  # any number; keeps two upgrades of one PostgreSQL database apart
PLAIN = {
    UTCDateTime: "sa.DateTime(timezone=True)",
    SecretText: "sa.Text()",
    EnumText: "sa.String(length=32)",
    JSON: "sa.JSON()",
}


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Return our column types as the plain types they are stored as, so that migrations never import the app."""
    if kind == "type":
        for ours, plain in PLAIN.items():
            if isinstance(item, ours):
                return plain
    return False


def run() -> None:
    """Migrate in one transaction, under a lock on PostgreSQL; SQLite is locked by the caller.

    That is the transaction of the caller's connection if there is one, as for a restore.
    """
    given = context.config.attributes.get("connection")
    with nullcontext(given) if given is not None else db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # All for this transaction alone: behind a pooler the next one may run on another server connection.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=True,
            render_item=render_item,
            include_object=migrate.of_models,
            compare_type=True,
            transactional_ddl=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if inspect(connection).has_table("alembic_version"):
            migrate.record_version(connection)


with nullcontext() if has_app_context() else core.app_context():
    run()
