"""Gaps: `nametag gaps`."""

from datetime import datetime

import click

from app import gaps
from app.accounts import listing
from app.cli import output
from app.viewer import OPERATOR


@click.command("gaps")
@click.option("--account-id", "ig_account_id", help="Only of this professional account ID.")
@output.as_json
@output.in_app
def gaps_(ig_account_id: str | None, as_json: bool) -> None:
    """List periods without webhooks, and what was fetched of them. Newest first."""
    account_id = listing.by_ig_id(OPERATOR, ig_account_id).id if ig_account_id else None
    found = gaps.list_gaps(OPERATOR, account_id)
    if as_json:
        output.show([gaps.as_dict(each) for each in found])
        return
    heads = ("ACCOUNT", "FROM", "TO", "CAUSE", "STATE", "FETCHED", "CONVERSATIONS", "NOT GIVEN", "JOB")
    rows = (
        (
            *(each.account, _time(each.began_at), _time(each.ended_at), ", ".join(each.causes), each.state),
            *(each.found, each.conversations, each.missing, each.run_id),
        )
        for each in found
    )
    output.table(heads, rows, empty="No gaps in the last 90 days.")


def _time(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M}" if at else None
