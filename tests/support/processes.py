"""The `nametag` commands and the sandbox as processes, ended after each test."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.error import HTTPError, URLError

from app import parent_death, settings
from tests.support.waiting import until


@dataclass
class Process:
    """A running command; `log` receives what it prints."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def id(self) -> int:
        """The process ID."""
        return self.popen.pid

    def output(self) -> str:
        """Return everything printed so far."""
        return self.log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send one signal."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = 25.0) -> int:
        """Return the exit status; raises TimeoutExpired when it does not end."""
        return self.popen.wait(seconds)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send one signal and return the exit status."""
        self.send(number)
        return self.wait()

    def await_line(self, part: str, seconds: float = 20.0) -> str:
        """Return the first printed line that contains `part`."""

        def found() -> str:
            ended = self.popen.poll() is not None
            line = next((line for line in self.output().splitlines() if part in line), "")
            assert line or not ended, f"{self.name} ended:\n{self.output()}"
            return line

        return until(found, f"{self.name} prints {part!r}", seconds)


@dataclass
class Web(Process):
    """A running web server."""

    url: str = ""


@dataclass
class Sandbox(Process):
    """A running sandbox with its control endpoints."""

    url: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings with which this process calls the sandbox instead of Meta."""
        secrets = self.get("secrets")
        return {
            "graph_facebook_url": f"{self.url}/facebook",
            "graph_instagram_url": f"{self.url}/instagram",
            "meta_app_secrets": tuple(secrets["app_secrets"]),
        }

    def get(self, resource: str) -> Any:
        """Return the JSON of `/_sandbox/<resource>`."""
        return self.request("GET", resource)

    def post(self, resource: str, **fields: Any) -> Any:
        """Send `fields` as JSON to `/_sandbox/<resource>`; return the JSON answer."""
        return self.request("POST", resource, **fields)

    def request(self, method: str, resource: str, **fields: Any) -> Any:
        """Request a resource with any method (PATCH settings, DELETE faults …); return the JSON answer."""
        body = json.dumps(fields).encode() if fields else None
        headers = {"Content-Type": "application/json"}
        message = urllib.request.Request(f"{self.url}/_sandbox/{resource}", data=body, headers=headers, method=method)
        with urllib.request.urlopen(message, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


ROOT = Path(__file__).resolve().parents[2]
Kept = TypeVar("Kept", bound=Process)


@dataclass
class Processes:
    """Processes that share one environment; killed with their groups at the end of the test."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    ours: tuple[str, ...] = ("app.cli.main",)  # the module of every `nametag` command, and its first arguments
    _started: list[Process] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            if process.popen.poll() is None:
                os.killpg(process.id, signal.SIGKILL)
                process.wait()

    def share(self, chosen: settings.Settings) -> None:
        """Give every later process the database, Redis and secrets of `chosen`."""
        self.variables |= {
            "DATABASE_URL": chosen.database_address,
            "REDIS_URL": chosen.redis_address,
            "SECRET_KEY": chosen.secret_key,
            "TOKEN_ENCRYPTION_KEYS": ",".join(chosen.token_encryption_keys),
            "META_APP_SECRETS": ",".join(chosen.meta_app_secrets),
            "META_VERIFY_TOKEN": chosen.meta_verify_token,
        }

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a new process."""
        folder = str(self.folder)
        ours = settings.environment(NAMETAG_HOME=folder, NAMETAG_DATA_DIR=folder, PYTHONPATH=str(ROOT))
        return ours | self.variables | variables

    def nametag(self, *arguments: str, answer: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one `nametag` command to its end, `answer` on its standard input."""
        return subprocess.run(
            [sys.executable, "-m", *self.ours, *arguments],
            env=self.environment(**variables),
            cwd=self.folder,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *arguments: str, **variables: str) -> Process:
        """Start one `nametag` command and return immediately."""
        popen, log = self._popen(arguments[0], [*self.ours, *arguments], self.environment(**variables))
        return self._keep(Process(arguments[0], popen, log))

    def module(self, name: str, *arguments: str, **variables: str) -> Process:
        """Start `python -m name` in our environment and return immediately."""
        popen, log = self._popen(name, [name, *arguments], self.environment(**variables))
        return self._keep(Process(name, popen, log))

    def web(self, *, port: int = 0, **variables: str) -> Web:
        """Start the web server on `port`, or on a free one; return once it answers."""
        port = port or free_port()
        popen, log = self._popen("web", [*self.ours, "web"], self.environment(PORT=str(port), **variables))
        web = self._keep(Web("web", popen, log, f"http://127.0.0.1:{port}"))
        until(lambda: _lives(web) and answers(web.url), "the web server answers")
        return web

    def worker(self, queue: str, **variables: str) -> Process:
        """Start a worker of one queue; return once it listens."""
        process = self.start("worker", "--queue", queue, **variables)
        until(lambda: _lives(process) and "worker started" in process.output(), f"the worker of {queue} listens")
        return process

    def scheduler(self, **variables: str) -> Process:
        """Start the scheduler and return immediately."""
        return self.start("scheduler", **variables)

    def sandbox(self, *options: str, webhook_url: str | None = None) -> Sandbox:
        """Start a sandbox for later processes. It sends nothing unless `options` say so."""
        port_file = self.folder / "sandbox.port"
        port_file.unlink(missing_ok=True)
        arguments = ["app.sandbox", "--port", "0", "--port-file", str(port_file)]
        if "--pace" not in options:
            arguments += ["--pace", "off"]
        if "--latency-ms" not in options:
            arguments += ["--latency-ms", "0"]
        if webhook_url:
            arguments += ["--webhook-url", webhook_url]
        popen, log = self._popen("sandbox", [*arguments, *options], settings.environment(PYTHONPATH=str(ROOT)))
        started = self._keep(Sandbox("sandbox", popen, log))
        port = until(lambda: _lives(started) and _text(port_file), "the sandbox has a port")
        started.url = f"http://127.0.0.1:{port}"
        until(lambda: _lives(started) and answers(started.url), "the sandbox answers")
        self.variables |= {
            "GRAPH_FACEBOOK_URL": f"{started.url}/facebook",
            "GRAPH_INSTAGRAM_URL": f"{started.url}/instagram",
        }
        return started

    def _popen(
        self, name: str, module: list[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{name}-{len(self._started)}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", *module]
            popen = subprocess.Popen(
                command,
                env=environment,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
            )
        return popen, log

    def named(self, name: str) -> list[Process]:
        """Return the processes started under this name, oldest first."""
        return [process for process in self._started if process.name == name]

    def _keep(self, process: Kept) -> Kept:
        self._started.append(process)
        return process


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Return whether a web server answers at `url`, with any status."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError, HTTPException):  # the last if it ends in the middle of an answer
        return False


def alive(process_id: int) -> bool:
    """Return whether a process exists that is not a zombie."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(process_id: int) -> set[int]:
    """Return every living descendant of a process."""
    direct = _direct_children(process_id)
    return direct.union(*(children(child) for child in direct))


def _direct_children(process_id: int) -> set[int]:
    try:
        text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    except FileNotFoundError:
        return set()
    return {int(child) for child in text.split()}


def part(supervisor: Process, words: str) -> int:
    """Return the process ID of the supervisor's child whose command line contains `words`, or 0.

    Not that of a grandchild, which has the same command line and, once the system's IDs begin again, a lower ID.
    """
    for child in _direct_children(supervisor.id):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except FileNotFoundError:
            continue
        if words in command and alive(child):
            return child
    return 0


def _lives(process: Process) -> bool:
    assert process.popen.poll() is None, f"{process.name} ended:\n{process.output()}"
    return True


def _text(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
