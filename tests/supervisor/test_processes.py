"""Supervising real processes; time is set only where waits are measured."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import clock
from app.supervisor.processes import (
    LONGEST_WAIT_SECONDS,
    START_RESTARTS,
    STEADY_SECONDS,
    Program,
    StartFailed,
    StopAsked,
    Supervisor,
)
from tests.support.processes import ROOT, alive
from tests.support.waiting import until

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    kept = Supervisor(log=tmp_path / "log", say=said.append)
    yield kept
    kept.stop()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def sleeper(name: str = "sleeper", **fields: object) -> Program:
    return Program(name, ("sleep", "60"), **fields)  # type: ignore[arg-type]  # a test's shorthand


def test_a_program_is_ready_when_it_says_so(keeper: Supervisor, tmp_path: Path) -> None:
    mark = tmp_path / "ready"
    keeper.start(Program("late", ("sh", "-c", f"sleep 0.1; touch {mark}; sleep 60"), ready=mark.exists))
    keeper.await_ready("late")
    assert mark.exists()


def test_a_program_that_ends_instead_of_becoming_ready_is_one_line(keeper: Supervisor) -> None:
    keeper.start(Program("broken", ("sh", "-c", "exit 3"), ready=lambda: False))
    with pytest.raises(StartFailed, match=r"^broken did not start: exit status 3\. See .*log\.$"):
        keeper.await_ready("broken")


def test_a_program_that_never_becomes_ready_is_one_line(keeper: Supervisor) -> None:
    keeper.start(sleeper("slow", ready=lambda: False, ready_seconds=0.05))
    with pytest.raises(StartFailed, match=r"^slow didn\'t become ready within [\d.]+ s\. See .*log\.$"):
        keeper.await_ready("slow")


def test_a_program_that_is_killed_during_its_start_is_started_again(
    keeper: Supervisor, said: list[str], tmp_path: Path
) -> None:
    first, ready = tmp_path / "first", tmp_path / "ready"
    code = f"test -e {first} || {{ touch {first}; kill -9 $$; }}; touch {ready}; sleep 60"
    keeper.start(Program("web", ("sh", "-c", code), ready=ready.exists))
    keeper.await_ready("web")
    assert said == ["web exited (signal 9). Restarting it."]


def test_a_program_that_is_killed_at_every_start_is_one_line(keeper: Supervisor, said: list[str]) -> None:
    keeper.start(Program("web", ("sh", "-c", "kill -9 $$"), ready=lambda: False))
    with pytest.raises(StartFailed, match=r"^web did not start: signal 9\. See .*log\.$"):
        keeper.await_ready("web")
    assert len(said) == START_RESTARTS


def test_what_a_program_prints_goes_to_the_log(keeper: Supervisor, tmp_path: Path) -> None:
    keeper.start(Program("talker", ("sh", "-c", "echo out; echo err >&2; sleep 60")))
    until(lambda: (tmp_path / "log").read_text().split() == ["out", "err"], "both lines are in the log")


def test_a_dead_program_is_started_again_after_growing_waits(
    keeper: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    keeper.start(sleeper())
    waits = []
    for _ in range(7):
        died = keeper.process_id("sleeper")
        os.kill(died, signal.SIGKILL)
        until(lambda gone=died: not alive(gone), "it died")  # type: ignore[misc]  # a lambda with a default
        keeper.restart_exited()
        began = now[0]
        while keeper.process_id("sleeper") == died:
            now[0] += 0.1
            keeper.restart_exited()
        waits.append(round(now[0] - began, 1))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS]
    assert said == ["sleeper exited (signal 9). Restarting it."] * 7


def test_a_program_that_lived_for_a_while_is_started_again_at_once(
    keeper: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    keeper.start(sleeper())
    for lived in (0.0, STEADY_SECONDS + 1):
        died = keeper.process_id("sleeper")
        now[0] += lived
        os.kill(died, signal.SIGKILL)
        until(lambda gone=died: not alive(gone), "it died")  # type: ignore[misc]  # a lambda with a default
        keeper.restart_exited()
        now[0] += 0.2
        keeper.restart_exited()
        assert keeper.process_id("sleeper") != died


def test_higher_stages_are_stopped_before_lower_ones(keeper: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    for name, stage in (("redis", 0), ("web", 2), ("worker", 1)):
        leave = f"sleep 0.05; echo {name} >> {order}; exit"
        code = f"trap '{leave}' TERM; touch {tmp_path / name}; while :; do sleep 0.01; done"
        keeper.start(Program(name, ("sh", "-c", code), ready=(tmp_path / name).exists, stage=stage))
    keeper.await_ready("redis", "web", "worker")
    keeper.stop()
    assert order.read_text().split() == ["web", "worker", "redis"]


def test_a_program_that_does_not_listen_is_killed_after_its_grace(keeper: Supervisor, tmp_path: Path) -> None:
    deaf = Program("deaf", python(DEAF), ready=lambda: "deaf" in (tmp_path / "log").read_text(), grace_seconds=0.1)
    keeper.start(deaf)
    keeper.await_ready("deaf")
    process_id = keeper.process_id("deaf")
    keeper.stop()
    assert not alive(process_id)


def test_a_program_is_in_a_session_of_its_own_so_that_ctrl_c_passes_it_by(keeper: Supervisor) -> None:
    keeper.start(sleeper())
    assert os.getsid(keeper.process_id("sleeper")) == keeper.process_id("sleeper")


def test_kept_files_are_inherited_and_closed_after_the_stop(keeper: Supervisor, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "kept", os.O_RDWR | os.O_CREAT)
    keeper.start(Program("writer", python(f"import os; os.write({descriptor}, b'kept')"), kept_files=(descriptor,)))
    until(lambda: (tmp_path / "kept").read_text() == "kept", "the child wrote to it")
    keeper.stop()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_keeping_ends_when_asked_and_mends_until_then(
    keeper: Supervisor, said: list[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    keeper.start(sleeper())
    first = keeper.process_id("sleeper")

    def disturb() -> None:
        until(lambda: signal.getsignal(number) != before, "the keeper listens")
        os.kill(first, signal.SIGKILL)
        until(lambda: keeper.process_id("sleeper") != first, "it is started again")
        os.kill(os.getpid(), number)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    with keeper.signal_handlers():
        keeper.keep()
    disturber.join()
    assert len(said) == 1
    assert signal.getsignal(number) == before


def test_once_a_stop_was_asked_nothing_more_is_started(keeper: Supervisor) -> None:
    with keeper.signal_handlers():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopAsked):
            keeper.start(sleeper())


def test_a_stop_that_comes_in_the_middle_of_a_fork_is_not_lost(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from app.supervisor.processes import Program, Supervisor
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))
keeper = Supervisor(log=Path({str(tmp_path / "log")!r}), say=print)
with keeper.signal_handlers():
    keeper.start(Program("sleeper", ({sys.executable!r}, "-c", "import time; time.sleep(60)")))
    keeper.keep()
keeper.stop()
"""
    supervisor = subprocess.Popen(python(code), cwd=ROOT)
    try:
        assert supervisor.wait(15) == 0
    finally:
        supervisor.kill()
        supervisor.wait()


def test_no_program_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from app.supervisor.processes import Program, Supervisor
keeper = Supervisor(log=Path({str(tmp_path / "log")!r}), say=print)
keeper.start(Program("deaf", ({sys.executable!r}, "-c", {DEAF!r})))
print(keeper.process_id("deaf"), flush=True)
with keeper.signal_handlers():
    keeper.keep()
"""
    supervisor = subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    supervisor.stdout.close()
    until(lambda: "deaf" in (tmp_path / "log").read_text(), "the child runs")
    supervisor.kill()
    supervisor.wait()
    until(lambda: not alive(child), "the child is gone")
