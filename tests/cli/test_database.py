"""`nametag db upgrade`, and the schema check of every process."""

import json
import re
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner
from sqlalchemy import inspect

from app import installation, settings
from app.cli import database as schema
from app.db import migrate, transaction
from app.db.engine import db
from app.db.migrate import SchemaState
from app.factory import create_app
from tests.cli.commands import nametag
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
    assert answer.output == f"Error: {NEWER}\n"


VERSION = installation.VERSION
NEWER = (
    f"The database belongs to Nametag {VERSION} or later: its revision is 9999, and this is Nametag "
    f"{VERSION}, which knows revisions up to {migrate.revisions()[-1]}. Install Nametag "
    f"{VERSION}, or restore a backup that this version made. Nothing was changed."
)


def test_a_process_refuses_a_newer_database_and_names_the_version_it_needs(blank_database: str) -> None:
    with settings.using(database_url=blank_database), databases.app_context_of(create_app()) as app:
        migrate.upgrade()
        with transaction.write() as tx:
            tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ClickException, match=re.escape(NEWER)):
            schema.require_current(app)


def test_the_status_of_the_schema_is_the_exit_status(blank_database: str) -> None:
    head = migrate.revisions()[-1]
    with settings.using(database_url=blank_database), databases.app_context_of(create_app()):
        behind = nametag("db", "status", "--json")
        assert (behind.exit_code, json.loads(behind.output)) == (
            3,
            {"state": "behind", "revision": None, "wanted": head, "version": None},
        )
        migrate.upgrade()
        current = nametag("db", "status")
        assert current.exit_code == 0
        assert current.output.splitlines()[:3] == [
            "State            current",
            f"Revision here    {head}",
            f"Revision wanted  {head}",
        ]
        with transaction.write() as tx:
            tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        ahead = nametag("db", "status", "--json")
        assert (ahead.exit_code, json.loads(ahead.output)["state"]) == (4, "ahead")
        assert json.loads(ahead.output)["version"] == installation.VERSION


def test_a_downgrade_needs_a_revision_while_there_is_one_release(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(migrate, "RELEASES", tmp_path / "releases.json")
    migrate.RELEASES.write_text("{}")
    with settings.using(database_url=database), databases.app_context_of(create_app()):
        refused = nametag("db", "downgrade", "--yes")
        assert (refused.exit_code, refused.stderr) == (
            1,
            "Error: There is no earlier release. Nothing was changed. Name a revision.\n",
        )
        assert nametag("db", "downgrade", "9999", "--yes").exit_code == 1
        assert migrate.schema().state is SchemaState.CURRENT


def test_a_downgrade_goes_back_to_the_newest_earlier_release(
    blank_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    releases = tmp_path / "releases.json"
    releases.write_text('{"0.9.0": "0001", "0.10.0": "0002", "1.1.0": "0003"}')
    monkeypatch.setattr(migrate, "RELEASES", releases)
    monkeypatch.setattr(installation, "VERSION", "1.0.0rc1")
    assert migrate.previous_release() == ("0.10.0", "0002")


def test_a_downgrade_asks_first(blank_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[str] = []
    monkeypatch.setattr(migrate, "downgrade", went.append)
    monkeypatch.setattr(migrate, "revisions", lambda: ("0001", "0002"))
    monkeypatch.setattr(migrate, "previous_release", lambda: ("0.1.0", "0001"))
    with settings.using(database_url=blank_database), databases.app_context_of(create_app()):
        migrate.upgrade()
        with transaction.write() as tx:
            tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
        assert nametag("db", "downgrade", answer="n\n").exit_code == 1
        assert went == []
        assert nametag("db", "downgrade", answer="y\n").exit_code == 0
        assert went == ["0001"]


def test_the_releases_name_revisions_that_exist() -> None:
    released = json.loads(migrate.RELEASES.read_text())
    assert set(released.values()) <= set(migrate.revisions())


def test_commands_in_another_folder_use_the_same_installation(processes: Processes, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("NAMETAG_DATA_DIR=data\n")
    done = processes.nametag("db", "upgrade", NAMETAG_HOME=str(home), NAMETAG_DATA_DIR="")
    assert (done.returncode, done.stdout) == (0, "The database schema is up to date.\n"), done.stderr
    assert (home / "data" / "nametag.sqlite3").is_file()
    assert not (tmp_path / "instance").exists()
