"""Work on strangers' bytes in a short-lived child, which may hang, swell or die; the parent hears that it failed."""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app import parent_death

_STATM = Path("/proc/self/statm")  # Linux alone tells, and alone keeps the limit
_DONE, _FAILED = b"+", b"-"
_PIECE = 64 * 1024


class Failed(Exception):
    """The work was not done; the text says why, in words for a log."""


def run(work: Callable[[], bytes], *, seconds: float, most_memory: int | None = None) -> bytes:
    """Return what `work` returns in a child that may take `seconds` in all and grow by `most_memory` bytes.

    Raises Failed with the text of the Failed that `work` raised, or saying that it took too long or broke. The kernel
    keeps both limits, whatever call or library the child is stuck in. Descriptors and memory are copies: `work` must
    neither write nor use a connection of its parent.
    """
    reading, writing = os.pipe()
    parent_id = os.getpid()
    child_id = os.fork()
    if child_id == 0:
        os.close(reading)
        _work(work, writing, parent_id, seconds, most_memory)
    os.close(writing)
    try:
        told = _told(reading)
    finally:
        os.close(reading)
        os.kill(child_id, signal.SIGKILL)  # it has told everything, or nobody waits any more
        _, status = os.waitpid(child_id, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        if told[:1] == _DONE:
            return told[1:]
        raise Failed(told[1:].decode())
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    raise Failed(f"it took longer than {seconds:g} s" if late else "it broke what worked on it")


def _work(work: Callable[[], bytes], writing: int, parent_id: int, seconds: float, most_memory: int | None) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        parent_death.end_with_parent(parent_id)
        if most_memory is not None:
            _limit(most_memory)
        try:
            told = _DONE + work()
        except Failed as reason:
            told = _FAILED + str(reason).encode()
        _tell(writing, told)
        code = 0
    finally:
        os._exit(code)  # nothing of the parent's is flushed, closed or told twice


def _limit(most_memory: int) -> None:
    with suppress(OSError, ValueError):
        now = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + most_memory,) * 2)


def _tell(writing: int, told: bytes) -> None:
    rest = memoryview(told)
    while rest:
        rest = rest[os.write(writing, rest) :]


def _told(reading: int) -> bytes:
    told = bytearray()
    while piece := os.read(reading, _PIECE):
        told += piece
    return bytes(told)
