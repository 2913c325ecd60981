"""Programs that a machine may lack: the test is skipped, or fails under REQUIRE_ALL=1 as in CI."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test because of `reason`; under REQUIRE_ALL=1 fail it."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


def promtool() -> str:
    """Return the path of Prometheus' checker; skips or fails without it."""
    return shutil.which("promtool") or missing("promtool, of Debian's package prometheus, is not installed")
