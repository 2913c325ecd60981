"""`nametag alert …`."""

import click

from app.alerts import lifecycle, listing
from app.alerts.listing import ListedAlert, State
from app.cli import output
from app.viewer import OPERATOR


@click.group()
def alert() -> None:
    """List and acknowledge alerts."""


@alert.command("list")
@click.option("--state", type=click.Choice(["open", "recovered"]), help="Only alerts in this state. Default: all.")
@output.as_json
@output.in_app
def list_(state: State | None, as_json: bool) -> None:
    """List open alerts, and the newest ones that recovered."""
    found = listing.list_alerts(OPERATOR, state)
    if as_json:
        output.show([listing.as_dict(each) for each in found])
        return
    heads = ("ID", "STATE", "LEVEL", "KIND", "ACCOUNT", "OPENED", "RECOVERED", "TIMES", "ACKNOWLEDGED BY", "TEXT")
    output.table(heads, map(_row, found), empty="No alerts.")


@alert.command("acknowledge")
@click.argument("alert_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@output.as_json
@output.in_app
def acknowledge(alert_id: int, as_json: bool) -> None:
    """Acknowledge the alert ID: it no longer counts in the navigation."""
    lifecycle.acknowledge(OPERATOR, alert_id)
    if as_json:
        output.show(listing.as_dict(listing.get_alert(OPERATOR, alert_id)))
    else:
        output.say(f"Acknowledged alert {alert_id}.")


def _row(each: ListedAlert) -> tuple[object, ...]:
    return (
        *(each.id, each.state, each.level, each.kind, each.ig_account_id, each.opened_at, each.recovered_at),
        *(each.times, each.acknowledged_by, each.text),
    )
