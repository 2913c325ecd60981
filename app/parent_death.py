"""End a child process with its parent, so that no process outlives a killed supervisor (Linux only)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork, as a child must not


def end_with_parent(parent_id: int) -> None:
    """Make the kernel kill this process when its parent, `parent_id`, ends. Call it right after the fork."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # the parent ended before this call
        os.kill(os.getpid(), signal.SIGKILL)
