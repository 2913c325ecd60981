"""Keeps processes: starts them, restarts what dies, stops them in order. Knows nothing of Nametag."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from app import clock, parent_death

FIRST_WAIT_SECONDS = 0.2  # before a dead program is started again; doubles with every death
LONGEST_WAIT_SECONDS = 5.0
START_RESTARTS = 3  # of a program that is killed before it is ready
STEADY_SECONDS = 30.0  # a program that lived this long is no longer suspected
_LOOK_SECONDS = 0.01


class StartFailed(Exception):
    """A program ended, or said nothing, instead of becoming ready."""


class StopAsked(Exception):
    """SIGINT or SIGTERM came before everything was started."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `ready` says when it may be used, `stage` when it is stopped (highest first, alike ones together).

    The program inherits the descriptors `kept_files`, locks for instance; they are closed once it was stopped for good.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 20.0
    stage: int = 0
    grace_seconds: float = 5.0
    kept_files: tuple[int, ...] = ()


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    since: float
    wait_seconds: float = FIRST_WAIT_SECONDS
    again_at: float | None = None
    restarts: int = 0


@dataclass(slots=True)
class Supervisor:
    """A set of running programs; their output goes to the file `log` or to ours if None, lines for people to `say`."""

    log: Path | None
    say: Callable[[str], None]
    _running: dict[str, _Running] = field(default_factory=dict)
    _asked: list[int] = field(default_factory=list)
    _wakes: int = -1

    @contextmanager
    def signal_handlers(self) -> Iterator[None]:
        """Take note of SIGINT and SIGTERM within the block: `keep` returns, and starting more raises StopAsked.

        The handlers raise nothing: an exception of theirs is lost when the signal comes in the middle of a fork.
        """
        with _signals(self._asked) as self._wakes:
            yield

    def start(self, program: Program) -> None:
        """Start `program` and return at once; raises OSError when it cannot be run, StopAsked once a stop was."""
        self._go_on()
        self._running[program.name] = _Running(program, self._spawn(program), clock.monotonic())

    def await_ready(self, *names: str) -> None:
        """Block until every named program is ready; one that was killed is started again, a few times.

        Raises StartFailed for one that exits by itself or is not ready in time, and StopAsked.
        """
        for running in [self._running[name] for name in names]:
            while not running.program.ready():
                self._go_on()
                if running.process.poll() is not None:
                    self._restart_killed(running)
                elif clock.monotonic() > running.since + running.program.ready_seconds:
                    raise StartFailed(f"{running.program.name} was not ready in time. {self._where()}")
                clock.sleep(_LOOK_SECONDS)

    def keep(self) -> None:
        """Restart what dies until this process is asked to stop; only within `signal_handlers`."""
        while not self._asked:
            self.restart_exited()
            select.select([self._wakes], [], [], self._until_next())
            _drain(self._wakes)

    def restart_exited(self) -> None:
        """Start again what has died and waited long enough; returns at once."""
        for running in self._running.values():
            self._restart(running)

    def stop(self) -> None:
        """End every program: one SIGTERM, then SIGKILL once its grace is over; higher stages before lower ones."""
        for stage in sorted({running.program.stage for running in self._running.values()}, reverse=True):
            self._end([running for running in self._running.values() if running.program.stage == stage])
        for running in self._running.values():
            for descriptor in running.program.kept_files:
                os.close(descriptor)
        self._running.clear()

    def process_id(self, name: str) -> int:
        """Return the process id of the named program's present process."""
        return self._running[name].process.pid

    def _go_on(self) -> None:
        if self._asked:
            raise StopAsked

    def _where(self) -> str:
        return f"See {self.log}." if self.log else "See above."

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with self.log.open("ab", buffering=0) if self.log else nullcontext() as log:
            return subprocess.Popen(  # noqa: S603 - our own commands, no shell
                program.argv,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the others in order
                pass_fds=program.kept_files,
                preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
            )

    def _restart_killed(self, running: _Running) -> None:
        # A program that exits by itself has logged why, and would exit again.
        exited = running.process.returncode >= 0
        if exited or (running.again_at is None and running.restarts >= START_RESTARTS):
            raise StartFailed(f"{running.program.name} did not start: {_how(running.process)}. {self._where()}")
        self._restart(running)

    def _restart(self, running: _Running) -> None:
        now = clock.monotonic()
        if running.again_at is None and running.process.poll() is not None:
            if now - running.since > STEADY_SECONDS:
                running.wait_seconds = FIRST_WAIT_SECONDS
            running.again_at = now + running.wait_seconds
            running.wait_seconds = min(running.wait_seconds * 2, LONGEST_WAIT_SECONDS)
            self.say(f"{running.program.name} ended ({_how(running.process)}); it is started again.")
        if running.again_at is not None and now >= running.again_at:
            running.process = self._spawn(running.program)
            running.since, running.again_at = now, None
            running.restarts += 1

    def _until_next(self) -> float | None:
        waits = [running.again_at for running in self._running.values() if running.again_at is not None]
        return max(0.0, min(waits) - clock.monotonic()) if waits else None

    def _end(self, group: Iterable[_Running]) -> None:
        alive = [running for running in group if running.process.poll() is None]
        for running in alive:
            running.process.terminate()
        began = clock.monotonic()
        for running in alive:
            try:
                running.process.wait(max(0.0, began + running.program.grace_seconds - clock.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()


@contextmanager
def _signals(asked: list[int]) -> Iterator[int]:
    def note(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            asked.append(number)

    wakes, wake = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(wake, False)
    before = {number: signal.signal(number, note) for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)}
    waker = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield wakes
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wakes)
        os.close(wake)


def _drain(wakes: int) -> None:
    with suppress(BlockingIOError):
        os.read(wakes, 4096)


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"signal {-code}" if code < 0 else f"exit status {code}"
