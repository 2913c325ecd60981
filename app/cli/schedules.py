"""`nametag schedules …`."""

import click

from app import heartbeats
from app import schedules as timed
from app.cli import output
from app.schedules import ListedSchedule
from app.viewer import OPERATOR

name_argument = click.argument("name", metavar="NAME")


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
    heads = ("NAME", "PERIOD", "STATE", "LAST", "RESULT", "NEXT", "SKIPPED")
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
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@output.as_json
@output.in_app
def off(name: str, yes: bool, as_json: bool) -> None:
    """Switch schedule NAME off for all accounts."""
    warning = timed.get_schedule(OPERATOR, name).schedule.warning
    if warning and not yes:
        click.confirm(f"{warning} Switch it off?", abort=True, err=True)
    timed.switch_off(OPERATOR, name)
    _say(name, f"is off. To switch it on: nametag schedules on {name}", as_json=as_json)


@schedules.command("on")
@name_argument
@output.as_json
@output.in_app
def on(name: str, as_json: bool) -> None:
    """Switch schedule NAME on again."""
    timed.switch_on(OPERATOR, name)
    _say(name, "is on.", as_json=as_json)


def _say(name: str, sentence: str, *, as_json: bool) -> None:
    changed = timed.get_schedule(OPERATOR, name)
    if as_json:
        output.show(timed.as_dict(changed))
    else:
        output.say(f"{changed.schedule.title} {sentence}")


def _row(each: ListedSchedule) -> tuple[object, ...]:
    state = f"off by {each.off_by}" if each.off_by else each.state
    return each.schedule.name, each.schedule.period, state, each.last_at, each.did, each.next_at, each.skip
