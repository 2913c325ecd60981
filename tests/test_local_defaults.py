"""The file of the local defaults: created once, merged, readable by its owner only."""

import stat
from pathlib import Path

from app import local_defaults


def test_secrets_are_made_once_and_differ_between_installations(tmp_path: Path) -> None:
    path = local_defaults.with_secrets(tmp_path / "one")
    first = local_defaults.read(path)
    assert len(first) == 4
    assert local_defaults.read(local_defaults.with_secrets(tmp_path / "one")) == first
    other = local_defaults.read(local_defaults.with_secrets(tmp_path / "two"))
    assert not set(first.values()) & set(other.values())


def test_what_is_written_is_merged_and_the_owners_alone(tmp_path: Path) -> None:
    local_defaults.write(tmp_path / "data", {"PORT": "1", "WORKERS": "2"})
    local_defaults.write(tmp_path / "data", {"PORT": "3"})
    path = local_defaults.file(tmp_path / "data")
    assert local_defaults.read(path) == {"PORT": "3", "WORKERS": "2"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_holds_no_settings(tmp_path: Path) -> None:
    assert local_defaults.read(tmp_path / "no.env") == {}
