"""`nametag alert …`."""

import click

from app.accounts import listing as accounts
from app.alerts import lifecycle, listing, muting, outbox, receivers
from app.alerts.listing import ListedAlert, State
from app.alerts.receivers import ListedReceiver
from app.cli import output
from app.viewer import OPERATOR

account_argument = click.argument("ig_account_id", metavar="IG_ACCOUNT_ID")
receiver_argument = click.argument("receiver_id", metavar="ID", type=output.ROW_ID)


@click.group()
def alert() -> None:
    """List and acknowledge alerts, mute accounts; manage where alerts are sent."""


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
@click.argument("alert_id", metavar="ID", type=output.ROW_ID)
@output.as_json
@output.in_app
def acknowledge(alert_id: int, as_json: bool) -> None:
    """Acknowledge the alert ID: it no longer counts in the navigation."""
    lifecycle.acknowledge(OPERATOR, alert_id)
    if as_json:
        output.show(listing.as_dict(listing.get_alert(OPERATOR, alert_id)))
    else:
        output.say(f"Acknowledged alert {alert_id}.")


@alert.command("mute")
@account_argument
@output.in_app
def mute(ig_account_id: str) -> None:
    """Mute the alerts of the account IG_ACCOUNT_ID until you unmute them: they are listed, and not sent."""
    muting.mute(OPERATOR, ig_account_id)
    output.say(f"Muted the alerts of {ig_account_id}.")


@alert.command("unmute")
@account_argument
@output.in_app
def unmute(ig_account_id: str) -> None:
    """Unmute the alerts of the account IG_ACCOUNT_ID. Those still open after 30 minutes are sent."""
    muting.unmute(OPERATOR, ig_account_id)
    output.say(f"Unmuted the alerts of {ig_account_id}.")


@alert.group("receivers")
def receivers_() -> None:
    """Manage alert receivers: URLs and email addresses that alerts are sent to."""


@receivers_.command("list")
@output.as_json
@output.in_app
def list_receivers(as_json: bool) -> None:
    """List alert receivers, without their secrets."""
    found = receivers.list_receivers(OPERATOR)
    if as_json:
        output.show([receivers.as_dict(each) for each in found])
        return
    heads = ("ID", "ADDRESS", "EVENTS", "ACCOUNTS", "QUIET HOURS", "STATE", "LAST", "ERROR")
    output.table(heads, map(_receiver_row, found), empty="No alert receivers.")


@receivers_.command("add")
@click.argument("address", metavar="ADDRESS")
@click.option("--events", default=",".join(receivers.CHOICES), show_default=True, help="Comma-separated events.")
@click.option(
    "--account-id",
    "ig_account_ids",
    multiple=True,
    help="Only alerts of this account. Repeatable. Default: all accounts, and the installation.",
)
@click.option("--quiet", default="", metavar="HH:MM-HH:MM", help="Quiet hours, such as 22:00-07:00: alerts wait.")
@click.option("--zone", default="UTC", show_default=True, help="Time zone of the quiet hours, such as Europe/Paris.")
@output.in_app
def add_receiver(address: str, events: str, ig_account_ids: tuple[str, ...], quiet: str, zone: str) -> None:
    """Add ADDRESS, a URL or an email address. The secret of a URL is printed once and can't be shown again."""
    limited = _accounts(ig_account_ids)
    added = receivers.add(OPERATOR, address, events=_events(events), account_ids=limited, quiet=quiet, zone=zone)
    output.say(f"Added alert receiver {added.id}.")
    if added.secret:
        click.echo(added.secret)


@receivers_.command("change")
@receiver_argument
@click.option("--address", help="The new URL or email address. A URL keeps its secret.")
@click.option("--events", help="Comma-separated events.")
@click.option("--account-id", "ig_account_ids", multiple=True, help="Only alerts of this account. Repeatable.")
@click.option("--all-accounts", is_flag=True, help="Alerts of all accounts, and of the installation.")
@click.option("--quiet", metavar="HH:MM-HH:MM", help="Quiet hours, such as 22:00-07:00. Empty: none.")
@click.option("--zone", help="Time zone of the quiet hours, such as Europe/Paris.")
@output.in_app
def change_receiver(
    receiver_id: int,
    address: str | None,
    events: str | None,
    ig_account_ids: tuple[str, ...],
    all_accounts: bool,
    quiet: str | None,
    zone: str | None,
) -> None:
    """Change the alert receiver ID. What you leave out stays as it is."""
    if all_accounts and ig_account_ids:
        raise click.UsageError("Give either --account-id or --all-accounts.")
    receivers.change(
        OPERATOR,
        receiver_id,
        address=address,
        events=None if events is None else _events(events),
        account_ids=receivers.ALL if all_accounts else _accounts(ig_account_ids),
        quiet=quiet,
        zone=zone,
    )
    output.say(f"Changed alert receiver {receiver_id}.")


@receivers_.command("rotate-secret")
@receiver_argument
@output.in_app
def rotate_secret(receiver_id: int) -> None:
    """Rotate the secret of the URL with this ID. The new one is printed once and can't be shown again.

    For 24 hours, requests are signed with both.
    """
    click.echo(receivers.rotate_secret(OPERATOR, receiver_id))


@receivers_.command("test")
@receiver_argument
@output.in_app
def test_receiver(receiver_id: int) -> None:
    """Send a test to the alert receiver ID. The scheduler sends it within seconds; `list` shows the result."""
    outbox.send_test(OPERATOR, receiver_id)
    output.say(f"Queued a test for alert receiver {receiver_id}.")


@receivers_.command("enable")
@receiver_argument
@output.in_app
def enable_receiver(receiver_id: int) -> None:
    """Switch the alert receiver ID on again, which answered 410 Gone."""
    receivers.enable(OPERATOR, receiver_id)
    output.say(f"Switched alert receiver {receiver_id} on.")


@receivers_.command("remove")
@receiver_argument
@output.in_app
def remove_receiver(receiver_id: int) -> None:
    """Remove the alert receiver ID."""
    receivers.remove(OPERATOR, receiver_id)
    output.say(f"Removed alert receiver {receiver_id}.")


def _events(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _accounts(ig_account_ids: tuple[str, ...]) -> list[int] | None:
    return [accounts.by_ig_id(OPERATOR, each).id for each in ig_account_ids] or None


def _receiver_row(each: ListedReceiver) -> tuple[object, ...]:
    state = "off" if each.disabled_at else each.last_state
    limited = "all" if each.ig_account_ids is None else ",".join(each.ig_account_ids)
    quiet = each.quiet.says if each.quiet else None
    return each.id, each.address, ",".join(each.events), limited, quiet, state, each.last_at, each.last_error


def _row(each: ListedAlert) -> tuple[object, ...]:
    return (
        *(each.id, each.state, each.level, each.kind, each.ig_account_id, each.opened_at, each.recovered_at),
        *(each.times, each.acknowledged_by, each.text),
    )
