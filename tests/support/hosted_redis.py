"""Redis as hosting providers offer it: servers on TCP, and a forwarder that adds TLS, delays and failovers."""

import asyncio
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from app import parent_death
from app.supervisor import redis_server
from tests.support import certificates
from tests.support.processes import free_port
from tests.support.waiting import until

HOST = "127.0.0.1"


@dataclass
class Server:
    """A Redis server on loopback that a test kills and starts again; it then has no data."""

    port: int
    _command: list[str]
    _log: Path
    _popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return once it answers."""
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command, stdout=log, preexec_fn=partial(parent_death.end_with_parent, os.getpid())
            )
        until(lambda: _answers(self.port), "Redis answers")

    def kill(self) -> None:
        """Kill it with all its data."""
        if self._popen:
            self._popen.kill()
            self._popen.wait(10)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Server]:
    """Run a Redis server with `options` on loopback for one block."""
    folder.mkdir()
    port = free_port()
    command = [redis_server.find_binary().path, "--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", ""]
    started = Server(port, [*command, *options], folder / "redis.log")
    try:
        started.start()
        yield started
    finally:
        started.kill()


@contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """Start a Redis server with `options` on loopback; yields its port."""
    with running(folder, *options) as started:
        yield started.port


def _answers(port: int) -> bool:
    with Redis(port=port) as redis, suppress(RedisError):
        try:
            return bool(redis.ping())
        except AuthenticationError:  # it needs a password
            return True
    return False


@dataclass
class Forwarder:
    """A TCP forwarder to `target`; None swallows connections, as a network does that drops packets.

    A change of `target` affects new connections; `cut_off()` swallows data of the present ones.
    """

    target: int | None
    delay_seconds: float = 0.0
    tls: ssl.SSLContext | None = None
    port: int = 0
    accepted: int = 0
    _cut_off: int = 0
    _tasks: dict[asyncio.Future[None], asyncio.StreamWriter] = field(default_factory=dict)

    def cut_off(self) -> None:
        """Forward nothing more on the present connections, without closing them."""
        self._cut_off = self.accepted

    async def serve(self, ready: threading.Event, ended: asyncio.Event) -> None:
        """Accept connections until `ended`."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # clients may leave during a handshake
        async with await asyncio.start_server(self._accept, HOST, 0, ssl=self.tls) as listener:
            self.port = listener.sockets[0].getsockname()[1]
            ready.set()
            await ended.wait()
        for writer in self._tasks.values():  # a task that never began closes nothing itself
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks[asyncio.ensure_future(self._carry(reader, writer))] = writer

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        number, target, far_writer = self.accepted, self.target, None
        try:
            await asyncio.sleep(self.delay_seconds)
            if target is None:
                await reader.read()
                return
            far_reader, far_writer = await asyncio.open_connection(HOST, target)
            await asyncio.gather(self._pump(number, reader, far_writer), self._pump(number, far_reader, writer))
        except (OSError, asyncio.CancelledError):  # one side has closed, or the test has ended
            pass
        finally:
            for each in filter(None, (writer, far_writer)):
                each.transport.abort()

    async def _pump(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if number > self._cut_off:
                writer.write(data)
                await writer.drain()
        if number > self._cut_off:
            raise ConnectionResetError


@contextmanager
def forwarder(target: int, *, delay_seconds: float = 0.0, certificate: Path | None = None) -> Iterator[Forwarder]:
    """Start a forwarder; with the folder of a `certificate` it uses TLS towards its clients."""
    forwarding = Forwarder(target, delay_seconds)
    if certificate:
        forwarding.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        forwarding.tls.load_cert_chain(certificate / certificates.CERTIFICATE, certificate / certificates.KEY)
    ready, ended, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    def serve() -> None:  # in a thread of its own: Playwright keeps a loop running in the main one
        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # cancels what is left at the end
            runner.run(forwarding.serve(ready, ended))

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    try:
        yield forwarding
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
