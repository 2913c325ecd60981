"""Isolation of tests from the developer's own settings."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from app import settings


def isolate() -> Path:
    """Ignore settings of the shell and of `.env`; return the new data folder that tests use instead."""
    for name in settings.Settings.model_fields:
        os.environ.pop(name.upper(), None)
    data_dir = Path(tempfile.mkdtemp(prefix="nt-"))  # short: Unix sockets live in it
    atexit.register(_remove, data_dir, os.getpid())
    os.environ["NAMETAG_HOME"] = os.environ["NAMETAG_DATA_DIR"] = str(data_dir)
    return data_dir


def _remove(folder: Path, process_id: int) -> None:
    if os.getpid() == process_id:  # not in a forked child that happens to end the ordinary way
        shutil.rmtree(folder, ignore_errors=True)
