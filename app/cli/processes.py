"""Commands that run one process: `nametag worker`, `scheduler`, `sandbox`. `nametag up` runs the first two."""

import os
import sys
from collections.abc import Callable

import click
from flask import Flask

from app import core, counters, installation, logs, queue, redis_checks, scheduler, settings, worker
from app.cli import database

DRAIN_SECONDS = 10  # running requests may finish when the web server stops
QUEUES = queue.QUEUES


@click.command("worker")
@click.option("--queue", "queue_name", type=click.Choice(QUEUES), help="Only process this queue.")
def run_worker(queue_name: str | None) -> None:
    """Run a worker for one queue, or for all queues (live lookups first)."""
    worker.work(prepare(core.create_core), [queue_name] if queue_name else QUEUES)


@click.command("scheduler")
def run_scheduler() -> None:
    """Run the scheduler: queues due lookups, syncs and token refreshes, and purges old data."""
    with prepare(core.create_core).app_context():
        counters.start_sending()
        scheduler.run()


@click.command("sandbox", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run_sandbox(options: tuple[str, ...]) -> None:
    """Run the sandbox, a local stand-in for Meta's API. `nametag sandbox --help` lists its options."""
    if settings.current().production:
        raise click.UsageError("The sandbox can't run when NAMETAG_ENV=production.")
    os.execv(sys.executable, [*installation.PYTHON, "-m", "app.sandbox", *options])  # noqa: S606 - the process becomes the sandbox


def prepare(create: Callable[[], Flask]) -> Flask:
    """Create the app of a process that is about to start. Raises ClickException and Conflict if it must not start."""
    os.umask(0o077)
    logs.configure()
    app = create()
    database.require_current(app)
    redis_checks.require_ours()
    return app
