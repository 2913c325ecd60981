"""`nametag web`: serve pages, API and webhooks with gunicorn."""

import gc
import resource
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app import change_tokens, counters, gaps, parent_death, settings
from app.cli import processes
from app.factory import create_app
from app.libc import LIBC

KEEP_ALIVE_SECONDS = 5
GC_THRESHOLDS = (20_000, 50, 100)
HEAPS = 2
_M_ARENA_MAX = -8  # from glibc's malloc.h
REQUEST_LINE_BYTES = 8_190  # gunicorn's maximum: codes of sign-in providers and Meta have 4,000 and more

SOCKET_UMASK = 0o007  # a Unix socket is for its owner and its group, to which the proxy belongs
MAX_CONNECTIONS = 1_000
OTHER_DESCRIPTORS, DESCRIPTORS_PER_THREAD = 32, 8  # database, Redis, logs, and what gunicorn keeps


@click.command()
@click.option("--fd", type=int, hidden=True, help="An inherited listening socket to use instead of LISTEN.")
def web(fd: int | None) -> None:
    """Run the web server (pages, API and webhooks) on LISTEN."""
    app = processes.prepare(create_app)
    address = settings.current().listens_on
    if address.path and not Path(address.path).parent.is_dir():
        raise click.ClickException(f"Can't create {address.path}: its folder doesn't exist.")
    _Server(app, f"fd://{fd}" if fd is not None else str(address)).run()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn with WEB_PROCESSES processes, which share the app's memory, and WEB_THREADS threads in each."""

    def __init__(self, app: Flask, bind: str) -> None:
        self._app = app
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings. Its own files and variables are not read."""
        chosen: dict[str, Any] = {
            "bind": self._bind,
            "workers": settings.current().web_processes,
            "worker_class": "gthread",
            "worker_connections": connections(settings.current().web_threads),
            "threads": settings.current().web_threads,
            "preload_app": True,
            "umask": SOCKET_UMASK,
            "graceful_timeout": processes.DRAIN_SECONDS,
            "limit_request_line": REQUEST_LINE_BYTES,
            "keepalive": KEEP_ALIVE_SECONDS,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",  # web/trusted_hosts.py alone reads forwarded headers
            "errorlog": None,
            "logger_class": _JsonLog,
            "post_fork": _begin,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - gunicorn's own heartbeat file
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the app, loaded before gunicorn forks."""
        return self._app


def connections(threads: int) -> int:
    """Return the maximum number of simultaneous connections under this process's limit of file descriptors.

    More clients wait in the socket's queue: a worker that runs out of descriptors ends, and its requests with it.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = limit - OTHER_DESCRIPTORS - DESCRIPTORS_PER_THREAD * threads
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else max(2 * threads, min(MAX_CONNECTIONS, left))


class _JsonLog(Logger):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn's log, written by the root logger."""

    def setup(self, cfg: Any) -> None:
        """Leave the formatting to the root logger."""
        super().setup(cfg)
        self.error_log.propagate = True


def _begin(_arbiter: Any, gunicorn_worker: Any) -> None:
    parent_death.end_with_parent(gunicorn_worker.ppid)
    if LIBC is not None and hasattr(LIBC, "mallopt"):
        # glibc would give each thread a heap, which keeps what its largest request once needed.
        LIBC.mallopt(_M_ARENA_MAX, HEAPS)
    change_tokens.start_reporting()
    counters.start_sending()
    gaps.start_beating(gunicorn_worker.app.load().app_context)
    # Objects from before the fork are kept: collecting them as garbage took a tenth of each delivery.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
