"""Ties a child process to its parent, so that nothing survives a supervisor that was killed (Linux only)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork: a forked child must not load


def end_with_parent(parent_id: int) -> None:
    """Have the kernel kill this process as soon as its parent, `parent_id`, dies; to be called right after the fork."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # the parent died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)
