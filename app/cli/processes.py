"""One part of Nametag alone: `nametag worker`, `scheduler`, `sandbox`; `up` runs these very commands."""

import os
import sys
from collections.abc import Callable

import click
from flask import Flask

from app import core, logs, queue, redis_checks, scheduler, settings, worker
from app.cli import database

HOST = "127.0.0.1"  # strangers reach Nametag through a proxy that speaks TLS
DRAIN_SECONDS = 10  # a stop or a deploy lets requests under way finish (reliability.md F41)
QUEUES = tuple(dict.fromkeys(task.queue for task in queue.TASKS.values()))


@click.command("worker")
@click.option("--queue", "queue_name", type=click.Choice(QUEUES), help="Work on this queue alone.")
def run_worker(queue_name: str | None) -> None:
    """Work on one queue; without --queue on all of them, people who are writing first."""
    worker.work(readied(core.create_core), [queue_name] if queue_name else QUEUES)


@click.command("scheduler")
def run_scheduler() -> None:
    """Find what is due every second, and have it done."""
    with readied(core.create_core).app_context():
        scheduler.run()


@click.command("sandbox", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run_sandbox(options: tuple[str, ...]) -> None:
    """Play Meta on this machine; `nametag sandbox --help` lists what it can do."""
    if settings.current().production:
        raise click.UsageError("The sandbox is refused when NAMETAG_ENV=production.")
    os.execv(sys.executable, [sys.executable, "-m", "app.sandbox", *options])  # noqa: S606 - it becomes the sandbox


def readied(create: Callable[[], Flask]) -> Flask:
    """Create the app of a part that is about to start; raises ClickException where it must not."""
    os.umask(0o077)
    logs.configure()
    app = create()
    database.require_current(app)
    redis_checks.require_ours()
    return app
