"""`nametag worker`: run tasks."""

import click

from app import core, queue, worker
from app.cli import processes


@click.command("worker")
@click.option("--queue", "queue_name", type=click.Choice(queue.QUEUES), help="Only process this queue.")
def run_worker(queue_name: str | None) -> None:
    """Run a worker for one queue, or for all queues (live lookups first)."""
    worker.work(processes.prepare(core.create_core), [queue_name] if queue_name else queue.QUEUES)
