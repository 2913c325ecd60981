"""Work in a child process: its result, and work that hangs, needs too much memory or crashes."""

import os
import signal
import threading
import time

import pytest

from app import isolation

MIB = 1024 * 1024


def test_what_the_child_made_comes_back_whole() -> None:
    content = os.urandom(3 * MIB)  # more than a pipe holds
    assert isolation.run(lambda: content, seconds=10) == content
    assert isolation.run(lambda: b"", seconds=10) == b""


def test_its_own_reason_comes_back_in_its_words() -> None:
    def refuse() -> bytes:
        raise isolation.Failed("é is no picture")

    with pytest.raises(isolation.Failed, match="é is no picture"):
        isolation.run(refuse, seconds=10)


def test_work_that_hangs_is_ended_by_the_kernel() -> None:
    def hang() -> bytes:
        os.read(os.pipe()[0], 1)
        return b""

    began = time.monotonic()
    with pytest.raises(isolation.Failed, match=r"longer than 0\.2 s"):
        isolation.run(hang, seconds=0.2)
    assert time.monotonic() - began < 5


def test_work_that_swells_is_refused_the_memory() -> None:
    assert len(isolation.run(lambda: b"x" * (4 * MIB), seconds=10, most_memory=64 * MIB)) == 4 * MIB
    with pytest.raises(isolation.Failed, match="crashed"):
        isolation.run(lambda: b"x" * (100 * MIB), seconds=10, most_memory=64 * MIB)


def test_work_that_dies_takes_nobody_along() -> None:
    def die() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b"half an answer"

    with pytest.raises(isolation.Failed, match="crashed"):
        isolation.run(die, seconds=10)


def test_a_parent_that_stops_waiting_leaves_no_child() -> None:
    class Stopped(Exception):
        pass

    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    reading, writing = os.pipe()

    def linger() -> bytes:
        os.write(writing, b"here")
        return os.read(os.pipe()[0], 1)

    before = signal.signal(signal.SIGUSR2, stop)

    def call() -> None:
        os.read(reading, 4)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        with pytest.raises(Stopped):
            isolation.run(linger, seconds=30)
    finally:
        caller.join()
        signal.signal(signal.SIGUSR2, before)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the last that held the other end is gone
    os.close(reading)
