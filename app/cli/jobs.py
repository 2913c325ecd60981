"""Jobs: `nametag backfill-profiles`, `refresh-identities` and `jobs …`."""

import sys

import click

from app.accounts import listing
from app.cli import output, watch
from app.labels import label
from app.runs import failures, lifecycle, progress
from app.runs.estimate import Estimate
from app.viewer import OPERATOR

account_id = click.option("--account-id", "ig_account_id", required=True, help="The professional account ID.")
wait_option = click.option("--wait", is_flag=True, help="Wait for the job to finish and show its progress.")


@click.command("backfill-profiles")
@account_id
@click.option(
    "--batch-size",
    type=int,
    default=lifecycle.BATCH_SIZE,
    show_default=True,
    help="Contacts looked up per step, 1 to 100.",
)
@wait_option
@output.in_app
def backfill_profiles(ig_account_id: str, batch_size: int, wait: bool) -> None:
    """Start a backfill: look up all unknown contacts. Prints an estimate and the job ID."""
    _start("backfill", ig_account_id, batch_size, wait=wait)


@click.command("refresh-identities")
@account_id
@wait_option
@output.in_app
def refresh_identities(ig_account_id: str, wait: bool) -> None:
    """Start a refresh: look up all contacts again. Prints an estimate and the job ID."""
    _start("refresh", ig_account_id, lifecycle.BATCH_SIZE, wait=wait)


@click.group()
def jobs() -> None:
    """List, show, cancel and retry jobs."""


@jobs.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List active jobs and jobs of the last 7 days."""
    found = [*progress.active_runs(OPERATOR), *progress.history(OPERATOR, limit=100)]
    if as_json:
        output.show([progress.as_dict(run) for run in found])
        return
    heads = ("ID", "JOB", "ACCOUNT", "STATE", "DONE", "FAILED", "STARTED", "BY")
    rows = (
        (
            *(run.run_id, run.kind, run.account, run.state, f"{run.done}/{run.planned}", run.failed),
            *(run.created_at, run.started_by),
        )
        for run in found
    )
    output.table(heads, rows, empty="No jobs in the last 7 days.")


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@wait_option
@output.as_json
@output.in_app
def show(job_id: str, as_json: bool, wait: bool) -> None:
    """Show job ID. With --wait, follow it to its end."""
    if wait:
        sys.exit(watch.until_ended(job_id, as_json=as_json))
    facts = progress.as_dict(progress.get_progress(OPERATOR, job_id))
    if as_json:
        output.show(facts)
    else:
        output.facts(facts.items())


@jobs.command("cancel")
@click.argument("job_id", metavar="ID")
@output.in_app
def cancel(job_id: str) -> None:
    """Cancel job ID. It stops after the current contact."""
    lifecycle.cancel(OPERATOR, job_id)
    output.say(f"Canceling job {job_id}. It stops after the current contact.")


@jobs.command("retry")
@click.argument("job_id", metavar="ID")
@output.in_app
def retry(job_id: str) -> None:
    """Retry the failed contacts of job ID, except those that a retry cannot help."""
    output.say(f"Job {job_id}: {failures.retry_failed(OPERATOR, job_id).text}")


def _start(kind_name: str, ig_account_id: str, batch_size: int, *, wait: bool) -> None:
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    lifecycle.require_batch_size(batch_size)
    kind = progress.RunKind(kind_name)
    estimate = lifecycle.estimate_run(OPERATOR, account.id, kind=kind)
    click.echo(f"{label(kind)}: {_summary(estimate)}.", err=True)
    run_id = lifecycle.start(OPERATOR, account.id, kind=kind, batch_size=batch_size)
    click.echo(run_id)
    if wait:
        sys.exit(watch.until_ended(run_id))


def _summary(estimate: Estimate) -> str:
    if estimate.seconds is None:
        duration = "duration unknown (can't reach Redis)"
    else:
        duration = f"done in {watch.length(estimate.seconds)}"
    contacts = f"{estimate.people} contact{'' if estimate.people == 1 else 's'}"
    return f"{contacts}, about {estimate.calls} API call{'' if estimate.calls == 1 else 's'}, {duration}"
