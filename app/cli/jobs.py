"""The door to runs: `nametag backfill-profiles`, `refresh-identities` and `jobs …`."""

import sys

import click

from app.accounts import listing
from app.cli import output, watch
from app.labels import label
from app.runs import failures, lifecycle, progress
from app.runs.estimate import Estimate
from app.viewer import OPERATOR

account_id = click.option("--account-id", "ig_account_id", required=True, help="The professional account id.")
wait_option = click.option("--wait", is_flag=True, help="Show the progress until the job has ended.")


@click.command("backfill-profiles")
@account_id
@click.option("--batch-size", type=int, default=lifecycle.BATCH_SIZE, show_default=True, help="1 to 100.")
@wait_option
@output.in_app
def backfill_profiles(ig_account_id: str, batch_size: int, wait: bool) -> None:
    """Look up everyone without a name; says what that costs and prints the job's id."""
    _start("backfill", ig_account_id, batch_size, wait=wait)


@click.command("refresh-identities")
@account_id
@wait_option
@output.in_app
def refresh_identities(ig_account_id: str, wait: bool) -> None:
    """Look up everyone again; says what that costs and prints the job's id."""
    _start("refresh", ig_account_id, lifecycle.BATCH_SIZE, wait=wait)


@click.group()
def jobs() -> None:
    """List jobs, show one, cancel or retry it."""


@jobs.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List jobs at work and those of the last seven days."""
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
    output.table(heads, rows, empty="There is no job of the last seven days.")


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@wait_option
@output.as_json
@output.in_app
def show(job_id: str, as_json: bool, wait: bool) -> None:
    """Show job ID, or follow it to its end."""
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
    """End job ID after its present person."""
    lifecycle.cancel(OPERATOR, job_id)
    output.say(f"Job {job_id} ends after its present person.")


@jobs.command("retry")
@click.argument("job_id", metavar="ID")
@output.in_app
def retry(job_id: str) -> None:
    """Retry the failed contacts of job ID, except those that a retry cannot help."""
    output.say(f"Job {job_id}: {failures.retry_failed(OPERATOR, job_id).text}")


def _start(named: str, ig_account_id: str, batch_size: int, *, wait: bool) -> None:
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    lifecycle.require_batch_size(batch_size)
    kind = progress.RunKind(named)
    cost = lifecycle.estimate_run(OPERATOR, account.id, kind=kind)
    click.echo(f"{label(kind)}: {_plan(cost)}.", err=True)
    run_id = lifecycle.start(OPERATOR, account.id, kind=kind, batch_size=batch_size)
    click.echo(run_id)
    if wait:
        sys.exit(watch.until_ended(run_id))


def _plan(cost: Estimate) -> str:
    done = (
        "nobody can say when while Redis is away" if cost.seconds is None else f"done in {watch.length(cost.seconds)}"
    )
    people = f"{cost.people} {'person' if cost.people == 1 else 'people'}"
    return f"{people}, about {cost.calls} {'call' if cost.calls == 1 else 'calls'}, {done}"
