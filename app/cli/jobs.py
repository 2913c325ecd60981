"""The door to runs: `nametag backfill-profiles`, `refresh-identities` and `jobs …`."""

import sys

import click
from flask import current_app

from app import clock
from app.accounts import listing
from app.cli import output
from app.runs import plan, progress
from app.runs.progress import Progress
from app.viewer import OPERATOR

LOOK_SECONDS = 0.25
FAILED_STATES = ("failed", "canceled")

account_id = click.option("--account-id", "ig_account_id", required=True, help="The professional account id.")
wait_option = click.option("--wait", is_flag=True, help="Show the progress until the job has ended.")


@click.command("backfill-profiles")
@account_id
@click.option("--batch-size", type=int, default=plan.BATCH_SIZE, show_default=True, help="1 to 100.")
@wait_option
@output.in_app
def backfill_profiles(ig_account_id: str, batch_size: int, wait: bool) -> None:
    """Look up everyone without a name; prints the job's id."""
    _start("backfill", ig_account_id, batch_size, wait=wait)


@click.command("refresh-identities")
@account_id
@wait_option
@output.in_app
def refresh_identities(ig_account_id: str, wait: bool) -> None:
    """Look up everyone again; prints the job's id."""
    _start("refresh", ig_account_id, plan.BATCH_SIZE, wait=wait)


@click.group()
def jobs() -> None:
    """List jobs, show one, cancel or retry it."""


@jobs.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List jobs at work and those of the last seven days."""
    found = [*progress.active(OPERATOR), *progress.history(OPERATOR, limit=100)]
    if as_json:
        output.show([progress.as_dict(run) for run in found])
        return
    heads = ("ID", "JOB", "ACCOUNT", "STATE", "DONE", "FAILED", "STARTED", "BY")
    rows = (
        (
            *(run.run_id, run.kind, run.account, run.state, f"{run.settled}/{run.total}", run.failed),
            *(run.created_at, run.started_by),
        )
        for run in found
    )
    output.table(heads, rows, empty="There is no job of the last seven days.")


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@output.as_json
@output.in_app
def show(job_id: str, as_json: bool) -> None:
    """Show job ID."""
    facts = progress.as_dict(progress.of(OPERATOR, job_id))
    if as_json:
        output.show(facts)
    else:
        output.facts(facts.items())


@jobs.command("cancel")
@click.argument("job_id", metavar="ID")
@output.in_app
def cancel(job_id: str) -> None:
    """End job ID after its present person."""
    plan.cancel(OPERATOR, job_id)
    output.say(f"Job {job_id} ends after its present person.")


@jobs.command("retry")
@click.argument("job_id", metavar="ID")
@output.in_app
def retry(job_id: str) -> None:
    """Try the failed people of job ID again."""
    people = plan.retry(OPERATOR, job_id)
    output.say(f"Job {job_id} tries {people} {'person' if people == 1 else 'people'} again.")


def _start(kind: str, ig_account_id: str, batch_size: int, *, wait: bool) -> None:
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    wanted = next(each for each in progress.TITLES if each.value == kind)
    run_id = plan.start(OPERATOR, account.id, kind=wanted, batch_size=batch_size)
    click.echo(run_id)
    if wait:
        try:
            sys.exit(_watch(run_id))
        except KeyboardInterrupt:
            click.echo(f"\nThe job goes on. Follow it with: nametag jobs show {run_id}", err=True)
            sys.exit(output.FAILED)


def _watch(run_id: str) -> int:
    run = _look(run_id)
    with click.progressbar(length=run.total, label=run.title, file=sys.stderr, show_pos=True) as bar:
        while run.active:
            bar.label = f"{run.title} ({run.state.replace('_', ' ')})"
            bar.update(run.settled - bar.pos)
            clock.sleep(LOOK_SECONDS)
            run = _look(run_id)
        bar.label = run.title
        bar.update(run.settled - bar.pos)
    output.say(
        f"{run.title}: {run.resolved} resolved, {run.fresh} already fresh, {run.failed} failed, {run.skipped} skipped "
        f"of {run.total}; {run.calls} calls."
    )
    return output.FAILED if run.state in FAILED_STATES else 0


def _look(run_id: str) -> Progress:
    with current_app.app_context():  # a new session: the old one would go on seeing what it saw first
        return progress.of(OPERATOR, run_id)
