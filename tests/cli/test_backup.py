"""`nametag backup`, `restore` and `db copy`."""

import json
from pathlib import Path

import pytest
from flask import Flask

from app import settings
from app.db.engine import db
from tests.cli.commands import nametag, refused
from tests.factories import LEA, an_account, people_wrote
from tests.support import snapshot


@pytest.fixture
def filled(app: Flask) -> Flask:
    """An account with one message."""
    an_account()
    people_wrote(LEA)
    db.session.rollback()
    return app


def test_a_backup_is_made_and_restored(filled: Flask, tmp_path: Path) -> None:
    file = str(tmp_path / "nametag.backup")
    made = nametag("backup", file)
    assert (made.exit_code, made.output.splitlines()[0]) == (
        0,
        f"Backed up to {file}: 1 account, 1 conversation, 1 message, 1 identity, 0 users.",
    )
    assert "--replace" in refused(nametag("restore", file), status=1)
    before = snapshot.tables()
    db.session.rollback()
    restored = nametag("restore", file, "--replace", "--json")
    assert restored.exit_code == 0, restored.output
    assert json.loads(restored.output)["backup"]["tables"]["messages"]["rows"] == 1
    assert snapshot.tables() == before


def test_a_file_that_is_no_backup_is_one_line(filled: Flask, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("milk")
    line = refused(nametag("restore", str(file), "--replace"), status=2)
    assert line == f"Error: {file} is damaged or no backup of Nametag. Nothing was changed."


def test_a_copy_takes_its_url_from_standard_input_too(filled: Flask, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    copied = nametag("db", "copy", "--to", "-", answer=url)
    assert copied.exit_code == 0, copied.output
    assert "counts and digests are equal" in copied.output
    assert "in use" in refused(nametag("db", "copy", "--to", url), status=1)
    assert nametag("db", "copy", "--to", "mysql://x/y").exit_code == 2
    assert settings.current().database_url != url
