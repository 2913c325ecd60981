"""Search conversations: `nametag search`."""

import click

from app.accounts import listing
from app.cli import output
from app.inbox import api_queries
from app.inbox.api_queries import FeedQuery
from app.viewer import OPERATOR


@click.command()
@click.argument("query")
@click.option("--account-id", help="Search only this professional account ID.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@output.as_json
@output.in_app
def search(query: str, account_id: str | None, limit: int, as_json: bool) -> None:
    """Search conversations by words and operators, as in the inbox.

    For example: nametag search "from:@lea.moreau kind:photo after:2026-11-01". Days are UTC days. Put "--" before a
    search that begins with "-".
    """
    account = listing.by_ig_id(OPERATOR, account_id) if account_id else None
    want = FeedQuery(account_id=account.id if account else None, q=query.strip())
    found = api_queries.conversations(OPERATOR, want, limit=limit)[0] if want.q else []
    for notice in api_queries.notices(want.q):
        click.echo(notice, err=True)
    if as_json:
        output.show([api_queries.as_dict(each) for each in found])
        return
    heads = ("ID", "ACCOUNT", "CONTACT", "LAST MESSAGE", "UNREAD", "PREVIEW")
    rows = (
        (each.id, each.ig_account_id, each.display_name, each.last_message_at, each.unread_count, each.preview)
        for each in found
    )
    output.table(heads, rows, empty="No conversations found.")
