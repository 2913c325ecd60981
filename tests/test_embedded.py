"""The file of the embedded defaults: made once, merged into, the owner's alone."""

import stat
from pathlib import Path

from app import embedded


def test_secrets_are_made_once_and_differ_between_installations(tmp_path: Path) -> None:
    path = embedded.with_secrets(tmp_path / "one")
    first = embedded.read(path)
    assert len(first) == 4
    assert embedded.read(embedded.with_secrets(tmp_path / "one")) == first
    other = embedded.read(embedded.with_secrets(tmp_path / "two"))
    assert not set(first.values()) & set(other.values())


def test_what_is_written_is_merged_and_the_owners_alone(tmp_path: Path) -> None:
    embedded.write(tmp_path / "data", {"PORT": "1", "WORKERS": "2"})
    embedded.write(tmp_path / "data", {"PORT": "3"})
    path = embedded.file(tmp_path / "data")
    assert embedded.read(path) == {"PORT": "3", "WORKERS": "2"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_holds_no_settings(tmp_path: Path) -> None:
    assert embedded.read(tmp_path / "no.env") == {}
