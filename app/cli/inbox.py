"""The inbox: `nametag inbox needs-reply`."""

import click

from app.cli import output
from app.inbox import replies
from app.viewer import OPERATOR


@click.group()
def inbox() -> None:
    """Show figures of the inbox."""


@inbox.command("needs-reply")
@output.as_json
@output.in_app
def needs_reply(as_json: bool) -> None:
    """Count the conversations that need a reply, by the state of their 24-hour window."""
    counted = replies.count_needed(OPERATOR)
    if as_json:
        output.show(counted)
        return
    heads = ("ACCOUNT", "OPEN", "CLOSING", "CLOSED", "EXPIRED", "OLDEST")
    rows = ((each.account, each.open, each.closing, each.closed, each.expired, each.oldest_since) for each in counted)
    output.table(heads, rows, empty="No conversation needs a reply.")
