"""`nametag scheduler`: enqueue and do timed work."""

import click

from app import core, counters, scheduler
from app.cli import processes


@click.command("scheduler")
def run_scheduler() -> None:
    """Run the scheduler: queues due lookups, syncs and token refreshes, and purges old data."""
    with processes.prepare(core.create_core).app_context():
        counters.start_sending()
        scheduler.run()
