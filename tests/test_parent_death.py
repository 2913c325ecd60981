"""A child process ends with its parent."""

import os
import signal
import subprocess
import sys

from tests.support.processes import ROOT, alive, children
from tests.support.waiting import until

PARENT = """
import os, signal
from app import parent_death
parent = os.getpid()
if os.fork() == 0:
    parent_death.end_with_parent(parent if {right} else parent + 1)
    print(os.getpid(), flush=True)
signal.pause()
"""


def parent(*, right: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT.format(right=right)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_a_tied_child_dies_with_its_parent() -> None:
    with parent(right=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
    until(lambda: not alive(child), "the child is gone")


def test_a_child_that_is_tied_too_late_dies_at_once() -> None:
    with parent(right=False) as process:
        assert process.stdout is not None
        until(lambda: not any(map(alive, children(process.pid))), "the child is gone")
        os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout.read() == ""
