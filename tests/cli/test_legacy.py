"""`nametag import-legacy`: what is typed wrong; what it does is in tests/ingest/test_legacy.py."""

from pathlib import Path

from flask import Flask

from tests.cli.commands import nametag, refused


def test_a_file_that_is_not_there_is_misuse(app: Flask, tmp_path: Path) -> None:
    assert nametag("import-legacy", str(tmp_path / "nothing")).exit_code == 2
    assert nametag("import-legacy").exit_code == 2


def test_a_file_that_is_no_dump_is_misuse_in_one_line(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "dump"
    file.write_text("hello")
    refused(nametag("import-legacy", str(file)), status=2)
