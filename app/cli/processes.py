"""One part of Nametag alone: `nametag web`, `worker`, `scheduler`; `up` runs these very commands."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app import lifeline, logs, queue, redis_client, settings, ticker, versions
from app import worker as working
from app.cli import database
from app.factory import create_app

HOST = "127.0.0.1"  # strangers reach Nametag through a proxy that speaks TLS
DRAIN_SECONDS = 10  # a stop or a deploy lets requests under way finish (reliability.md F41)
KEEP_ALIVE_SECONDS = 5
GC_THRESHOLDS = (20_000, 50, 100)
QUEUES = tuple(queue.TASKS[name].queue for name in (queue.RESOLVE, queue.REFRESH_SLICE, queue.BACKFILL_SLICE))


@click.command()
@click.option("--fd", type=int, hidden=True, help="An inherited listening socket to use instead of PORT.")
def web(fd: int | None) -> None:
    """Serve the pages, the API and the webhooks on PORT."""
    app = _ready_app()
    _Server(app, f"fd://{fd}" if fd is not None else f"{HOST}:{settings.current().port}").run()


@click.command()
@click.option("--queue", "queue_name", type=click.Choice(QUEUES), help="Work on this queue alone.")
def worker(queue_name: str | None) -> None:
    """Work on one queue; without --queue on all of them, people who are writing first."""
    working.work(_ready_app(), [queue_name] if queue_name else QUEUES)


@click.command()
def scheduler() -> None:
    """Find what is due every second, and have it done."""
    with _ready_app().app_context():
        ticker.run()


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def sandbox(options: tuple[str, ...]) -> None:
    """Play Meta on this machine; `nametag sandbox --help` lists what it can do."""
    if settings.current().production:
        raise click.UsageError("The sandbox is refused when NAMETAG_ENV=production.")
    os.execv(sys.executable, [sys.executable, "-m", "app.sandbox", *options])  # noqa: S606 - it becomes the sandbox


def _ready_app() -> Flask:
    os.umask(0o077)
    logs.configure()
    app = create_app()
    database.require_current(app)
    redis_client.require_ours()
    return app


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn with one process: threads wait for the database, and a second process would double the memory."""

    def __init__(self, app: Flask, bind: str) -> None:
        self._app = app
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Choose gunicorn's settings; nothing is read from its own files or variables."""
        chosen: dict[str, Any] = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": settings.current().web_threads,
            "preload_app": True,
            "graceful_timeout": DRAIN_SECONDS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",  # web/hosts.py alone decides whom to believe
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


class _JsonLog(Logger):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn's log, handed to ours."""

    def setup(self, cfg: Any) -> None:
        """Leave the formatting to the root logger."""
        super().setup(cfg)
        self.error_log.propagate = True


def _begin(_arbiter: Any, gunicorn_worker: Any) -> None:
    lifeline.tie(gunicorn_worker.ppid)
    versions.bump_behind()
    # What was loaded before the fork stays: looking through it for garbage cost a tenth of each delivery.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
