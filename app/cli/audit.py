"""The audit log: `nametag audit list`."""

import click

from app import audit as log
from app.audit import AuditRow
from app.cli import output
from app.labels import label
from app.viewer import OPERATOR

MOST = 1_000


@click.group()
def audit() -> None:
    """Show the audit log."""


@audit.command("list")
@click.option("--actor", help='Filter by actor, for example "user 3", "token 2", "command line" or "schedule".')
@click.option("--action", type=click.Choice([each.value for each in log.Action]), help="Filter by action.")
@click.option("--limit", type=click.IntRange(1, MOST), default=log.PAGE, show_default=True)
@output.as_json
@output.in_app
def list_(actor: str | None, action: str | None, limit: int, as_json: bool) -> None:
    """List audit entries, newest first."""
    entries, _ = log.page(OPERATOR, log.parse_filter(actor=actor, action=action), limit=limit)
    if as_json:
        output.show([_facts(each) for each in entries])
        return
    names, accounts = log.names(OPERATOR), log.account_names(OPERATOR)
    heads = ("TIME", "USER", "ACTION", "TARGET", "ACCOUNT", "IP ADDRESS", "ROUTE")
    rows = (
        (
            *(each.at, names.get(each.actor, each.actor), label(each.action)),
            " ".join(filter(None, (names.get(each.subject or "", each.subject), each.detail and f"({each.detail})"))),
            *(accounts.get(each.ig_account_id or "", each.ig_account_id), each.address, each.route),
        )
        for each in entries
    )
    output.table(heads, rows, empty="No audit entries.")


def _facts(entry: AuditRow) -> dict[str, object]:
    facts: dict[str, object] = output.plain(entry)
    return {"ipAddress" if name == "address" else name: value for name, value in facts.items()}
