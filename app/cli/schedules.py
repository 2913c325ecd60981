"""`nametag schedules …`."""

import click

from app import heartbeats
from app import schedules as timed
from app.cli import output
from app.schedules import ListedSchedule
from app.viewer import OPERATOR

name_argument = click.argument("name", metavar="NAME")
account_option = click.option(
    "--account-id", "ig_account_id", help="Only for this professional account ID. Default: all accounts."
)


@click.group()
def schedules() -> None:
    """List schedules, run them now, switch them off and on."""


@schedules.command("list")
@output.as_json
@output.in_app
def list_(as_json: bool) -> None:
    """List what the scheduler does on time."""
    found = timed.list_schedules(OPERATOR)
    if as_json:
        output.show([timed.as_dict(each) for each in found])
        return
    heads = ("NAME", "PERIOD", "STATE", "LAST", "RESULT", "NEXT", "OFF FOR", "SKIPPED")
    output.table(heads, map(_row, found), empty="No schedules.")
    if not heartbeats.scheduler_runs():
        output.say(f"{timed.DEAD} Start it: nametag scheduler")


@schedules.command("run")
@name_argument
@output.as_json
@output.in_app
def run(name: str, as_json: bool) -> None:
    """Run schedule NAME now. The scheduler starts it within seconds."""
    timed.run_now(OPERATOR, name)
    _say(name, "runs within seconds.", as_json=as_json)


@schedules.command("off")
@name_argument
@account_option
@click.option("--reason", help="Why; shown on the Schedules page and in `list`.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@output.as_json
@output.in_app
def off(name: str, ig_account_id: str | None, reason: str | None, yes: bool, as_json: bool) -> None:
    """Switch schedule NAME off for all accounts, or for one."""
    warning = timed.get_schedule(OPERATOR, name).schedule.warning
    if warning and not yes:
        click.confirm(f"{warning} Switch it off?", abort=True, err=True)
    timed.switch_off(OPERATOR, name, ig_account_id=ig_account_id, reason=reason)
    of, only = (f" for {ig_account_id}", f" --account-id {ig_account_id}") if ig_account_id else ("", "")
    _say(name, f"is off{of}. To switch it on: nametag schedules on {name}{only}", as_json=as_json)


@schedules.command("on")
@name_argument
@account_option
@output.as_json
@output.in_app
def on(name: str, ig_account_id: str | None, as_json: bool) -> None:
    """Switch schedule NAME on again, for all accounts or for one."""
    timed.switch_on(OPERATOR, name, ig_account_id=ig_account_id)
    _say(name, f"is on for {ig_account_id}." if ig_account_id else "is on.", as_json=as_json)


def _say(name: str, sentence: str, *, as_json: bool) -> None:
    changed = timed.get_schedule(OPERATOR, name)
    if as_json:
        output.show(timed.as_dict(changed))
    else:
        output.say(f"{changed.schedule.title} {sentence}")


def _row(each: ListedSchedule) -> tuple[object, ...]:
    state = _off(each.off_by, each.off_reason) if each.off_by else each.state
    off = ", ".join(f"{found.account} ({_off(found.off_by, found.off_reason)})" for found in each.off_accounts)
    schedule = each.schedule
    return schedule.name, schedule.period, state, each.last_at, each.did, each.next_at, off or None, each.skip


def _off(by: str, reason: str | None) -> str:
    return f"off by {by}: {reason}" if reason else f"off by {by}"
