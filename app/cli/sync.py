"""Conversation sync: `nametag sync`."""

import sys

import click

from app.accounts import listing
from app.cli import output, watch
from app.cli.jobs import utc, wait_option
from app.runs import sync_job
from app.viewer import OPERATOR


@click.command()
@click.option("--account-id", "ig_account_id", required=True, help="The professional account ID.")
@click.option(
    "--limit", type=click.IntRange(1), help="Maximum number of conversations to sync, newest first. Default: all."
)
@wait_option
@output.as_json
@output.in_app
def sync(ig_account_id: str, limit: int | None, wait: bool, as_json: bool) -> None:
    """Start a conversation sync: fetch missed messages and history. Prints the plan and the job ID.

    With --wait, exit status 1 if the job fails or is canceled. With --json it implies --wait.
    """
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    planned = sync_job.get_plan(OPERATOR, account.id, most=limit)
    run_id = sync_job.start(OPERATOR, account.id, most=limit)
    click.echo(f"{sync_job.TITLE}: {sync_job.plan_text(planned, utc)}", err=True)
    if not as_json:
        click.echo(run_id)
    if wait or as_json:
        sys.exit(watch.until_ended(run_id, as_json=as_json))
