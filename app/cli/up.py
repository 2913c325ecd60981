"""`nametag up`: run all processes on one machine under a supervisor; `--demo` adds the sandbox and its accounts."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from app import core, installation, queue, redis_checks, settings
from app.cli import database, demo, processes
from app.listen_address import ListenAddress
from app.settings import Settings
from app.supervisor import redis_server
from app.supervisor.processes import Program, StartFailed, StopAsked, Supervisor
from app.supervisor.redis_server import RedisUnusable
from app.users import users

NEARBY_PORTS = 100
LOG_BYTES = 10_000_000  # a longer log of earlier starts is renamed
WORK_STAGE, WEB_STAGE = 1, 2  # the highest stops first: clients before the servers they use, Redis last


@click.command()
@click.option(
    "--demo", "with_demo", is_flag=True, help="Add the sandbox, a local stand-in for Meta, with its accounts."
)
def up(with_demo: bool) -> None:
    """Apply migrations and run web server, workers and scheduler until Ctrl-C (and Redis unless REDIS_URL is set)."""
    os.umask(0o077)
    chosen = settings.current()
    if with_demo and chosen.production:
        raise click.UsageError("--demo can't be used when NAMETAG_ENV=production.")
    if with_demo and chosen.listens_on.path:
        raise click.UsageError("--demo can't be used with a Unix socket in LISTEN: the sandbox sends to a port.")
    supervisor = Supervisor(_log(chosen), _print_error)
    with _locked(chosen.data_dir) as publish_url, supervisor.signal_handlers(), _stopping_at_exit(supervisor):
        web = _listen(chosen.listens_on, alternatives=0 if chosen.production else NEARBY_PORTS)
        publish_url(web.address.url)
        try:
            _start(supervisor, chosen, web, with_demo=with_demo)
        except (StartFailed, RedisUnusable) as error:
            raise click.ClickException(str(error)) from error
        supervisor.keep()
    click.echo("Stopped.")


def _start(supervisor: Supervisor, chosen: Settings, web: "_Listening", *, with_demo: bool) -> None:
    if chosen.private_redis:
        supervisor.start(redis_server.program(chosen.data_dir, chosen.redis_socket_path))
    redis_checks.require_ours()
    changes = {"LISTEN": str(web.address)}
    url = web.address.url
    with core.app_context() as app:
        database.upgrade(app)
        sign_in = users.first_admin()
        if with_demo:
            sign_in = demo.remembered(chosen.data_dir, sign_in)
            changes |= demo.start(supervisor, chosen.data_dir, url)
        else:
            demo.forget(chosen.data_dir)
    environment = settings.environment(**changes)
    supervisor.start(_web(environment, web))
    supervisor.await_ready("web", *(["redis"] if chosen.private_redis else []))
    _welcome(url, sign_in, once=not with_demo)
    for program in _work(environment, chosen.workers):
        supervisor.start(program)


def _web(environment: Mapping[str, str], web: "_Listening") -> Program:
    return Program(
        name="web",
        argv=_command("web", *(("--fd", str(web.socket)) if web.socket is not None else ())),
        environment=environment,
        ready=web.address.answers,
        stage=WEB_STAGE,
        grace_seconds=processes.DRAIN_SECONDS + 1,
        kept_files=(web.socket,) if web.socket is not None else (),
    )


def _work(environment: Mapping[str, str], workers: int) -> Iterator[Program]:
    first, *others = queue.QUEUES
    for number in range(workers):
        yield _worker(f"worker {number + 1} of {first}", first, environment)
    for name in others:
        yield _worker(f"worker of {name}", name, environment)
    yield Program("scheduler", _command("scheduler"), environment, stage=WORK_STAGE, grace_seconds=8)


def _worker(name: str, queue_name: str, environment: Mapping[str, str]) -> Program:
    return Program(name, _command("worker", "--queue", queue_name), environment, stage=WORK_STAGE, grace_seconds=8)


def _command(*arguments: str) -> tuple[str, ...]:
    return (*installation.PYTHON, "-m", "app.cli.main", *arguments)


def _welcome(url: str, sign_in: tuple[str, str] | None, *, once: bool) -> None:
    click.echo(f"Nametag is ready: {url}")
    if sign_in:
        click.echo(f"Sign in as {sign_in[0]} with password {sign_in[1]}")
        if once:
            click.echo(f"This password won't be shown again. To change it: nametag user passwd {sign_in[0]}")
    click.echo("Press Ctrl-C to stop.")


def _print_error(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _stopping_at_exit(supervisor: Supervisor) -> Iterator[None]:
    try:
        yield
    except StopAsked:
        pass
    finally:
        supervisor.stop()  # a second Ctrl-C changes nothing


@contextmanager
def _locked(data_dir: Path) -> Iterator[Callable[[str], None]]:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise click.ClickException(
                f"Nametag is already running with this data directory ({lock.read().strip()})."
            ) from None

        def publish_url(url: str) -> None:
            lock.truncate(0)
            lock.write(f"pid {os.getpid()}, {url}\n")
            lock.flush()

        yield publish_url


@dataclass(frozen=True, slots=True)
class _Listening:
    address: ListenAddress
    socket: int | None  # that the web server inherits; it creates a Unix socket itself


def _listen(wanted: ListenAddress, *, alternatives: int) -> _Listening:
    # The web server inherits the socket: no other process can take the port while it restarts, and a browser that
    # connects too early waits instead of failing.
    if wanted.path:
        return _Listening(wanted, None)
    last = wanted.port + (alternatives if wanted.port else 0)
    for port in range(wanted.port, last + 1):
        listener = socket.socket(wanted.family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((wanted.host, port))
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise click.ClickException(f"Can't listen on {wanted}: {error.strerror}.") from error
            continue
        if port != wanted.port:
            _print_error(f"Port {wanted.port} is in use. Using {port}.")
        address = replace(wanted, port=listener.getsockname()[1])
        return _Listening(address, listener.detach())
    ports = f"Ports {wanted.port} to {last} are" if last > wanted.port else f"Port {wanted.port} is"
    raise click.ClickException(f"{ports} in use. Set PORT or LISTEN to a free one.")


def _log(chosen: Settings) -> Path | None:
    if chosen.production:
        return None  # standard error, where the process manager collects logs
    path = chosen.data_dir / "nametag.log"
    if path.is_file() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path
