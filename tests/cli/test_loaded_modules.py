"""Each process loads what it needs and nothing else: its memory and the time of its start are mostly modules."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

PAGES = {"app.factory", "app.web", "app.api", "flask_openapi3", "flask_wtf", "rq_dashboard", "gunicorn"}
TIMED_WORK = {"app.scheduler", "app.alerts.email", "smtplib"}
DRIVERS = {"sqlite3", "psycopg"}  # the engine loads the one of the database


@pytest.mark.parametrize(
    ("command", "loaded", "left_out"),
    [
        ("worker", {"app.worker", "app.tasks", "PIL"}, PAGES | TIMED_WORK | {"app.doctor", "app.schedules"}),
        ("scheduler", TIMED_WORK, PAGES | {"app.worker", "app.tasks", "PIL"}),
        ("web", PAGES, TIMED_WORK | {"app.worker", "app.tasks", "PIL"}),
        ("up", {"app.supervisor"}, PAGES | TIMED_WORK | {"app.worker", "app.tasks", "PIL"}),
    ],
)
def test_a_process_loads_only_what_it_needs(command: str, loaded: set[str], left_out: set[str]) -> None:
    present = _loaded_by(command)
    assert loaded - present == set()
    assert (left_out | DRIVERS) & present == set()


def _loaded_by(command: str) -> set[str]:
    code = f"import sys; from app.cli.main import main; main([{command!r}, '--help'], standalone_mode=False)"
    code += "; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(answer.stdout.splitlines()[-1].split())
