"""Conversation sync: `nametag sync`."""

import sys

import click

from app.accounts import listing
from app.cli import output
from app.ingest import sync as syncing
from app.viewer import OPERATOR


@click.command()
@click.option("--account-id", "ig_account_id", required=True, help="The professional account id.")
@click.option("--limit", type=click.IntRange(1), help="At most so many conversations, newest first; all without it.")
@output.as_json
@output.in_app
def sync(ig_account_id: str, limit: int | None, as_json: bool) -> None:
    """Sync conversations and their newest messages from the Conversations API; exit 1 when incomplete."""
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    synced = syncing.sync_account(account.id, limit=limit)
    if as_json:
        output.show(synced)
    else:
        output.say(
            f"{synced.conversations} conversations synced with {synced.calls} calls: "
            f"{synced.messages} new messages, {synced.names} new names."
        )
        if synced.skipped:
            output.say(f"{len(synced.skipped)} skipped:")
            heads = ("WHAT", "ID", "CONVERSATION", "REASON")
            rows = ((each.kind, each.id, each.conversation, each.reason) for each in synced.skipped)
            output.table(heads, rows, empty="")
        if not synced.complete:
            output.say(f"Incomplete: {synced.reason}. What was read is stored. Run the command again later.")
    if not synced.complete:
        sys.exit(output.FAILED)
