"""End a child process with its parent, so that no process outlives a killed supervisor (Linux only)."""

import os
import signal

from app.libc import LIBC

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def end_with_parent(parent_id: int) -> None:
    """Make the kernel kill this process when its parent, `parent_id`, ends. Call it right after the fork."""
    if LIBC is None:
        return
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # the parent ended before this call
        os.kill(os.getpid(), signal.SIGKILL)
