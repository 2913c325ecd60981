"""An installation from a wheel, without the other folders of a checkout."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Processes


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the files of a wheel: Python files, and the data files that pyproject.toml names."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for pattern in ("**/*.py", *build["package-data"]["app"]):
        for file in (ROOT / "app").glob(pattern):
            copy = tmp_path / "wheel" / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return tmp_path / "wheel"


def run(installed: Path, processes: Processes, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    variables = processes.environment(PYTHONPATH=str(installed))
    return subprocess.run(command, cwd=installed, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [(), ("up",)], ids=" ".join)
def test_help_works_in_an_installed_package(installed: Path, processes: Processes, command: tuple[str, ...]) -> None:
    answer = run(installed, processes, *command, "--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("Usage: ")


@pytest.mark.parametrize("command", [("db", "upgrade"), ("up",)], ids=" ".join)
def test_a_package_without_its_folders_says_which_are_missing(
    installed: Path, processes: Processes, command: tuple[str, ...]
) -> None:
    answer = run(installed, processes, *command)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert f"migrations, static, templates missing in {installed}" in answer.stderr
