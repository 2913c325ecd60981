"""Earlier versions of this repository, from its Git history."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.requirement import missing

MIGRATIONS = "migrations/versions/"


def newest_with(revision: str, folder: Path) -> str:
    """Unpack the newest commit whose newest migration is `revision` into `folder`; return the commit.

    Without it in the history, as in a shallow clone or an archive, the test is skipped.
    """
    for commit in _git("log", "--format=%H", "--", MIGRATIONS).split():
        files = [each for each in _git("ls-tree", "--name-only", commit, MIGRATIONS).split() if each.endswith(".py")]
        if max(files).startswith(f"{MIGRATIONS}{revision}_"):
            with tarfile.open(fileobj=BytesIO(_archive(commit))) as archive:
                archive.extractall(folder, filter="data")
            return commit
    pytest.skip(f"the Git history has no commit with {revision} as its newest migration (a shallow clone?)")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return missing("there is no git")
    return done.stdout if done.returncode == 0 else ""


def _archive(commit: str) -> bytes:
    return subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
