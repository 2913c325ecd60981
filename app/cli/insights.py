"""Figures of the Insights page: `nametag insights`."""

from datetime import UTC

import click

from app.accounts import listing
from app.cli import output
from app.insights import summary
from app.viewer import OPERATOR


@click.command()
@click.option("--account-id", help="Only this professional account ID. Default: all accounts.")
@click.option("--period", type=click.Choice(tuple(summary.PERIODS)), default="month", show_default=True)
@output.as_json
@output.in_app
def insights(account_id: str | None, period: str, as_json: bool) -> None:
    """Show how contacts are identified, API calls and failures. Days begin at midnight UTC."""
    accounts = [listing.by_ig_id(OPERATOR, account_id)] if account_id else listing.accounts(OPERATOR)
    if not accounts:
        raise click.ClickException("No account is connected. Connect one: nametag account add --help")
    found = summary.as_dict(summary.get_insights([each.id for each in accounts], period=period, zone=UTC))
    if as_json:
        output.show(found)
        return
    output.facts((name, value) for name, value in found.items() if not isinstance(value, list))
    output.table(("REASON", "LOOKUPS"), (each.values() for each in found["failures"]), empty="No failed lookups.")
