"""`nametag import-legacy` with files that cannot be imported; tests/legacy_import has the rest."""

from pathlib import Path

from flask import Flask

from tests.cli.commands import nametag, refused


def test_a_missing_file_is_misuse(app: Flask, tmp_path: Path) -> None:
    assert nametag("import-legacy", str(tmp_path / "nothing")).exit_code == 2
    assert nametag("import-legacy").exit_code == 2


def test_a_file_in_another_format_is_misuse_in_one_line(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "dump"
    file.write_text("hello")
    refused(nametag("import-legacy", str(file)), status=2)
