"""Run untrusted decoding in a short-lived child process with time and memory limits."""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app import parent_death

_STATM = Path("/proc/self/statm")  # on Linux only; others have no memory limit
_DONE, _FAILED = b"+", b"-"
_PIECE = 64 * 1024


class Failed(Exception):
    """The work failed. The text says why, for a log."""


def run(work: Callable[[], bytes], *, seconds: float, most_memory: int | None = None) -> bytes:
    """Return the result of `work` in a child process, limited to `seconds` and `most_memory` more bytes of memory.

    Raises Failed with the text of the Failed that `work` raised, or if the child exceeds a limit or crashes. The kernel
    enforces both limits, in any call and library. Descriptors and memory are copies: `work` must neither write nor use
    a connection of its parent.
    """
    reading, writing = os.pipe()
    parent_id = os.getpid()
    child_id = os.fork()
    if child_id == 0:
        os.close(reading)
        _work(work, writing, parent_id, seconds, most_memory)
    os.close(writing)
    try:
        result = _receive(reading)
    finally:
        os.close(reading)
        os.kill(child_id, signal.SIGKILL)  # its result is complete, or no longer needed
        _, status = os.waitpid(child_id, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        if result[:1] == _DONE:
            return result[1:]
        raise Failed(result[1:].decode())
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    raise Failed(f"it took longer than {seconds:g} s" if late else "the child process crashed")


def _work(work: Callable[[], bytes], writing: int, parent_id: int, seconds: float, most_memory: int | None) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        parent_death.end_with_parent(parent_id)
        if most_memory is not None:
            _limit(most_memory)
        try:
            result = _DONE + work()
        except Failed as reason:
            result = _FAILED + str(reason).encode()
        _send(writing, result)
        code = 0
    finally:
        os._exit(code)  # so that nothing of the parent is flushed, closed or sent twice


def _limit(most_memory: int) -> None:
    with suppress(OSError, ValueError):
        now = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + most_memory,) * 2)


def _send(writing: int, result: bytes) -> None:
    rest = memoryview(result)
    while rest:
        rest = rest[os.write(writing, rest) :]


def _receive(reading: int) -> bytes:
    result = bytearray()
    while piece := os.read(reading, _PIECE):
        result += piece
    return bytes(result)
