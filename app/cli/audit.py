"""The door to the audit log: `nametag audit list`."""

import click

from app import audit as log
from app.cli import output
from app.labels import label
from app.viewer import OPERATOR

MOST = 1_000


@click.group()
def audit() -> None:
    """Who did what."""


@audit.command("list")
@click.option("--actor", help='Only what they did: "user 3", "token 2", "command line", "schedule".')
@click.option("--action", type=click.Choice([each.value for each in log.Action]), help="Only this.")
@click.option("--limit", type=click.IntRange(1, MOST), default=log.PAGE, show_default=True)
@output.as_json
@output.in_app
def list_(actor: str | None, action: str | None, limit: int, as_json: bool) -> None:
    """List what was done, newest first."""
    entries, _ = log.page(OPERATOR, log.parse_filter(actor=actor, action=action), limit=limit)
    if as_json:
        output.show(entries)
        return
    names, accounts = log.names(OPERATOR), log.account_names(OPERATOR)
    heads = ("AT", "WHO", "DID", "WHAT", "ACCOUNT", "FROM", "ROUTE")
    rows = (
        (
            *(each.at, names.get(each.actor, each.actor), label(each.action)),
            names.get(each.subject or "", each.subject),
            *(accounts.get(each.ig_account_id or "", each.ig_account_id), each.address, each.route),
        )
        for each in entries
    )
    output.table(heads, rows, empty="Nothing was done yet.")
