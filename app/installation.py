"""What is installed, and where its files are: in a checkout, or in a package installed from a wheel."""

import subprocess
import sys
from pathlib import Path

VERSION = "1.0.0"
FOLDERS = ("migrations", "static", "templates")
PACKAGE = Path(__file__).resolve().parent
# For `-m` and a module of this package: without -P, one of that name in the current folder would run instead.
PYTHON = (sys.executable, "-P")
COMMIT = "commit.txt"  # written by hatch_build.py; a checkout has none


def root() -> Path:
    """Return the folder that contains FOLDERS: the package if it was installed from a wheel, else the checkout."""
    return PACKAGE if is_package() else PACKAGE.parent


def is_package() -> bool:
    """Return whether this code was installed from a wheel, which has FOLDERS inside the package."""
    return (PACKAGE / FOLDERS[0]).is_dir()


def commit() -> str:
    """Return the abbreviated Git commit of this code, with "-dirty" if files were changed; "" if it is unknown."""
    noted = PACKAGE / COMMIT
    if noted.is_file():
        return noted.read_text().strip()
    if not (PACKAGE.parent / ".git").exists():
        return ""  # Git would answer with the commit of a repository around this folder
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed
    except (OSError, subprocess.SubprocessError):
        return ""
