"""Migrations run forward and back, and create the tables that the models describe."""

import multiprocessing
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, text

from app import settings
from app.db import migrate
from app.db.engine import db
from app.db.migrate import SchemaState
from app.factory import create_app
from tests.support.databases import app_context_of, upgrade


@pytest.fixture
def blank(blank_database: str) -> Flask:
    """The app on an empty database."""
    with settings.using(database_url=blank_database):
        return create_app()


def tables() -> set[str]:
    present = inspect(db.engine).get_table_names()
    return {name for name in present if migrate.of_models(None, name, "", True, None)} - {"alembic_version"}


def search_objects() -> list[str]:
    """Return the names of the tables, triggers, indexes and functions of search."""
    found = "SELECT name FROM sqlite_master"
    if db.engine.dialect.name == "postgresql":
        found = "SELECT relname FROM pg_class UNION SELECT proname FROM pg_proc"
    with db.engine.connect() as connection:
        return [name for name in connection.execute(text(found)).scalars() if name.startswith("search_")]


def test_migrations_run_forward_and_back_and_forward_again(blank: Flask) -> None:
    with app_context_of(blank):
        assert migrate.schema().state is SchemaState.BEHIND
        migrate.upgrade()
        assert migrate.schema().state is SchemaState.CURRENT
        assert tables() == set(db.metadata.tables)
        migrate.downgrade("base")
        assert tables() == set()
        migrate.upgrade()
        assert tables() == set(db.metadata.tables)


def test_going_back_to_base_leaves_nothing_of_search(blank: Flask) -> None:
    with app_context_of(blank):
        migrate.upgrade()
        assert search_objects() != []
        migrate.downgrade("base")
        assert search_objects() == []


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index:sqlalchemy.exc.SAWarning")
def test_the_migrated_schema_is_the_one_of_the_models(blank: Flask) -> None:
    with app_context_of(blank):
        migrate.upgrade()
        with db.engine.connect() as connection:
            options = {"compare_type": True, "include_object": migrate.of_models}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, db.metadata) == []


def test_the_revisions_are_alembics_in_its_order() -> None:
    chain = [script.revision for script in ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()]
    assert migrate.revisions() == tuple(reversed(chain))


def test_a_process_that_starts_loads_no_alembic() -> None:
    loaded = "import sys, app.cli.web; print('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"


def test_several_upgrades_at_once_all_succeed(blank: Flask, blank_database: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=upgrade, args=(blank_database,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with app_context_of(blank):
        assert migrate.schema().state is SchemaState.CURRENT
