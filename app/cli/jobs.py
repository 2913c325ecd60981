"""Jobs: `nametag backfill-profiles`, `refresh-identities` and `jobs …`."""

import sys
from datetime import datetime

import click

from app.accounts import listing
from app.cli import output, watch
from app.labels import label
from app.runs import item_listing, lifecycle, plan, progress, retries, run_request
from app.runs.item_listing import ListedItem
from app.runs.run_request import RunRequest
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
@click.option("--days", type=click.IntRange(1, 90), help="Only contacts who wrote within this many days.")
@wait_option
@output.in_app
def backfill_profiles(ig_account_id: str, batch_size: int, days: int | None, wait: bool) -> None:
    """Start a backfill: look up all unknown contacts. Prints the plan and the job ID."""
    _start(RunRequest(progress.RunKind.BACKFILL, days, batch_size), ig_account_id, wait=wait)


@click.command("refresh-identities")
@account_id
@click.option("--state", help="Only identities in this state: known, stale or unknown.")
@click.option("--reason", help="Only identities with this reason for a missing name.")
@click.option("--search", "q", default="", help="Only identities that match: username, name or ID.")
@wait_option
@output.in_app
def refresh_identities(ig_account_id: str, state: str | None, reason: str | None, q: str, wait: bool) -> None:
    """Start a refresh: look up all contacts again, or those that match. Prints the plan and the job ID."""
    fields = {"scope": "filter", "state": state or "", "reason": reason or "", "q": q}
    request = run_request.parse(fields) if state or reason or q else RunRequest(progress.RunKind.REFRESH)
    _start(request, ig_account_id, wait=wait)


@click.group()
def jobs() -> None:
    """List, show, pause, cancel and retry jobs."""


@jobs.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List active jobs, and the newest 100 of the last 90 days."""
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
    output.table(heads, rows, empty="No jobs in the last 90 days.")


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


@jobs.command("items")
@click.argument("job_id", metavar="ID")
@click.option("--state", help="Only contacts in this state: todo, resolved, fresh, failed or skipped.")
@click.option("--reason", help="Only contacts with this reason, for example consent.")
@click.option("--csv", "as_csv", is_flag=True, help="Output CSV for spreadsheets.")
@output.as_json
@output.in_app
def items(job_id: str, state: str | None, reason: str | None, as_csv: bool, as_json: bool) -> None:
    """List the contacts of job ID and their results."""
    want = item_listing.parse_filter(state=state, reason=reason)
    if as_csv:
        for lines in item_listing.csv_lines(OPERATOR, job_id, want):
            click.echo(lines, nl=False)
        return
    found = list(item_listing.iter_items(OPERATOR, job_id, want))
    if as_json:
        output.show([item_listing.as_dict(item) for item in found])
    else:
        heads = ("CONTACT", "NAME", "BEFORE", "STATE", "REASON", "CODE", "TRIES", "CALLS", "SECONDS")
        output.table(heads, map(_row, found), empty="No contacts.")


@jobs.command("pause")
@click.argument("job_id", metavar="ID")
@output.in_app
def pause(job_id: str) -> None:
    """Pause job ID after the current contact, until it is resumed."""
    lifecycle.pause(OPERATOR, job_id)
    output.say(f"Paused job {job_id}. To continue it: nametag jobs resume {job_id}")


@jobs.command("resume")
@click.argument("job_id", metavar="ID")
@output.in_app
def resume(job_id: str) -> None:
    """Resume the paused job ID."""
    lifecycle.resume(OPERATOR, job_id)
    output.say(f"Resumed job {job_id}.")


@jobs.command("retry")
@click.argument("job_id", metavar="ID")
@click.option("--reason", "reasons", multiple=True, help="Only contacts that failed for this reason; repeatable.")
@output.in_app
def retry(job_id: str, reasons: tuple[str, ...]) -> None:
    """Retry the failed contacts of job ID, except those that a retry cannot help."""
    output.say(f"Job {job_id}: {retries.retry(OPERATOR, job_id, reasons or None).text}")


def _start(request: RunRequest, ig_account_id: str, *, wait: bool) -> None:
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    planned = run_request.plan(OPERATOR, account.id, request)
    click.echo(f"{label(request.kind)}: {plan.as_text(planned, utc)}", err=True)
    run_id = run_request.start(OPERATOR, account.id, request)
    click.echo(run_id)
    if wait:
        sys.exit(watch.until_ended(run_id))


def utc(at: datetime) -> str:
    """Return a time of day for a terminal."""
    return f"{at:%H:%M} UTC"


def _row(item: ListedItem) -> tuple[object, ...]:
    return (
        *(item.ig_participant_id, item.display.text, item.previous_name, item.state, item.reason, item.code),
        *(item.tries, item.calls, f"{item.seconds:.1f}"),
    )
