"""`nametag db upgrade`, and the schema check of every process."""

from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner
from sqlalchemy import inspect

from app import settings
from app.cli import database as schema
from app.db import migrate, transaction
from app.db.engine import db
from app.factory import create_app
from tests.support import databases
from tests.support.processes import Processes


def test_upgrade_makes_the_tables_and_may_be_repeated(blank_database: str) -> None:
    with settings.using(database_url=blank_database), databases.app_context_of(create_app()):
        for _ in range(2):
            answer = CliRunner().invoke(schema.db, ["upgrade"])
            assert (answer.exit_code, answer.output) == (0, "The database schema is up to date.\n")
        assert {"accounts", "messages", "runs", "users"} <= set(inspect(db.engine).get_table_names())


def test_a_migrated_database_is_let_pass(database: str) -> None:
    with settings.using(database_url=database), databases.app_context_of(create_app()) as app:
        schema.require_current(app)


def test_an_unmigrated_database_is_refused_with_a_remedy(blank_database: str) -> None:
    with (
        settings.using(database_url=blank_database),
        databases.app_context_of(create_app()) as app,
        pytest.raises(ClickException, match=r"^The database schema is out of date\. Run `nametag db upgrade`\.$"),
    ):
        schema.require_current(app)


def test_a_database_that_is_away_is_one_line_without_its_password() -> None:
    url = "postgresql+psycopg://nametag:hidden@127.0.0.1:1/nametag"
    with settings.using(database_url=url), databases.app_context_of(create_app()):
        answer = CliRunner().invoke(schema.db, ["upgrade"])
    assert answer.exit_code == 1
    assert answer.output == "Error: Can't connect to the database. Check DATABASE_URL and that the server is running.\n"


def test_a_database_of_a_newer_version_is_one_line(blank_database: str) -> None:
    with settings.using(database_url=blank_database), databases.app_context_of(create_app()):
        migrate.upgrade()
        with transaction.write() as tx:
            tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        answer = CliRunner().invoke(schema.db, ["upgrade"])
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: Can't migrate the database: Can't locate revision")


def test_commands_in_another_folder_use_the_same_installation(processes: Processes, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("NAMETAG_DATA_DIR=data\n")
    done = processes.nametag("db", "upgrade", NAMETAG_HOME=str(home), NAMETAG_DATA_DIR="")
    assert (done.returncode, done.stdout) == (0, "The database schema is up to date.\n"), done.stderr
    assert (home / "data" / "nametag.sqlite3").is_file()
    assert not (tmp_path / "instance").exists()
