"""Conversation sync: `nametag sync`."""

import sys

import click

from app.accounts import listing
from app.cli import output
from app.ingest import sync as syncing
from app.text import plural
from app.viewer import OPERATOR


@click.command()
@click.option("--account-id", "ig_account_id", required=True, help="The professional account ID.")
@click.option(
    "--limit", type=click.IntRange(1), help="Maximum number of conversations to sync, newest first. Default: all."
)
@output.as_json
@output.in_app
def sync(ig_account_id: str, limit: int | None, as_json: bool) -> None:
    """Sync conversations and their newest messages from the Conversations API. Exit status 1 if incomplete."""
    account = listing.by_ig_id(OPERATOR, ig_account_id)
    synced = syncing.sync_account(account.id, limit=limit)
    if as_json:
        output.show(synced)
    else:
        output.say(
            f"Synced {plural(synced.conversations, 'conversation')} with {plural(synced.calls, 'API call')}: "
            f"{plural(synced.messages, 'new message')}, {plural(synced.names, 'new name')}."
        )
        if synced.skipped:
            output.say(f"Skipped {len(synced.skipped)}:")
            heads = ("KIND", "ID", "CONVERSATION", "REASON")
            rows = ((each.kind, each.id, each.conversation, each.reason) for each in synced.skipped)
            output.table(heads, rows, empty="")
        if not synced.complete:
            output.say(f"Sync stopped early: {synced.reason}. Results so far are stored. Run the command again later.")
    if not synced.complete:
        sys.exit(output.FAILED)
