"""Process supervisor: start processes, restart those that exit, stop them in order. Independent of Nametag."""

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

FIRST_WAIT_SECONDS = 0.2  # before an exited program is restarted; doubles with every exit
LONGEST_WAIT_SECONDS = 5.0
START_RESTARTS = 3  # of a program that is killed before it is ready
STEADY_SECONDS = 30.0  # after which the wait is reset
_POLL_SECONDS = 0.01


class StartFailed(Exception):
    """A program exited, or did not become ready in time."""


class StopAsked(Exception):
    """SIGINT or SIGTERM arrived before all programs were started."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run. `ready` returns whether it can be used; programs with the highest `stage` are stopped first.

    The program inherits the descriptors `kept_files`, for example locks. They are closed after it was stopped.
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
    """A set of running programs. Their output goes to the file `log`, or is inherited if None; messages to `say`."""

    log: Path | None
    say: Callable[[str], None]
    _running: dict[str, _Running] = field(default_factory=dict)
    _asked: list[int] = field(default_factory=list)
    _wakes: int = -1

    @contextmanager
    def signal_handlers(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM in the block: `keep` returns, and starting another program raises StopAsked.

        The handlers raise nothing: their exceptions would be lost if the signal arrives during a fork.
        """
        with _signals(self._asked) as self._wakes:
            yield

    def start(self, program: Program) -> None:
        """Start `program` without waiting for it. Raises OSError if it can't be run, and StopAsked after a signal."""
        self._require_no_stop()
        self._running[program.name] = _Running(program, self._spawn(program), clock.monotonic())

    def await_ready(self, *names: str) -> None:
        """Wait until the named programs are ready. Restarts a program that was killed, a few times.

        Raises StartFailed for a program that exits or is not ready in time, and StopAsked after a signal.
        """
        for running in [self._running[name] for name in names]:
            while not running.program.ready():
                self._require_no_stop()
                if running.process.poll() is not None:
                    self._restart_killed(running)
                elif clock.monotonic() > running.since + running.program.ready_seconds:
                    seconds = f"{running.program.ready_seconds:g} s"
                    raise StartFailed(f"{running.program.name} didn't become ready within {seconds}. {self._where()}")
                clock.sleep(_POLL_SECONDS)

    def keep(self) -> None:
        """Restart programs that exit, until this process gets SIGINT or SIGTERM. Only within `signal_handlers`."""
        while not self._asked:
            self.restart_exited()
            select.select([self._wakes], [], [], self._until_next())
            _drain(self._wakes)

    def restart_exited(self) -> None:
        """Restart programs that have exited and waited long enough. Does not block."""
        for running in self._running.values():
            self._restart(running)

    def stop(self) -> None:
        """Stop all programs, highest stage first: SIGTERM, then SIGKILL after the grace time."""
        for stage in sorted({running.program.stage for running in self._running.values()}, reverse=True):
            self._end([running for running in self._running.values() if running.program.stage == stage])
        for running in self._running.values():
            for descriptor in running.program.kept_files:
                os.close(descriptor)
        self._running.clear()

    def process_id(self, name: str) -> int:
        """Return the process ID of the named program."""
        return self._running[name].process.pid

    def _require_no_stop(self) -> None:
        if self._asked:
            raise StopAsked

    def _where(self) -> str:
        return f"See {self.log}." if self.log else "See above."

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with self.log.open("ab", buffering=0) if self.log else nullcontext() as log:
            return subprocess.Popen(  # noqa: S603 - fixed commands, no shell
                program.argv,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops the others in order
                pass_fds=program.kept_files,
                preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
            )

    def _restart_killed(self, running: _Running) -> None:
        # A program that exited, and was not killed, has logged why and would exit again.
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
            self.say(f"{running.program.name} exited ({_how(running.process)}). Restarting it.")
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
