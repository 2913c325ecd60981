"""The inbox: `nametag inbox needs-reply|mark-read|no-reply-needed`."""

import click

from app.cli import output
from app.inbox import reply_decisions, thread
from app.viewer import OPERATOR

conversation_argument = click.argument("conversation_id", metavar="ID", type=output.ROW_ID)


@click.group()
def inbox() -> None:
    """Count conversations that need a reply, and mark conversations."""


@inbox.command("needs-reply")
@output.as_json
@output.in_app
def needs_reply(as_json: bool) -> None:
    """Count the conversations that need a reply, by the state of their 24-hour window."""
    counted = reply_decisions.count_needed(OPERATOR)
    if as_json:
        output.show(counted)
        return
    heads = ("ACCOUNT", "OPEN", "CLOSING", "CLOSED", "EXPIRED", "OLDEST")
    rows = ((each.account, each.open, each.closing, each.closed, each.expired, each.oldest_since) for each in counted)
    output.table(heads, rows, empty="No conversation needs a reply.")


@inbox.command("mark-read")
@conversation_argument
@output.in_app
def mark_read(conversation_id: int) -> None:
    """Mark conversation ID as read for the team. Users who have not read it keep it unread."""
    thread.mark_read(OPERATOR, conversation_id)
    output.say(f"Marked conversation {conversation_id} as read.")


@inbox.command("no-reply-needed")
@conversation_argument
@click.option("--undo", is_flag=True, help="Withdraw the decision.")
@output.in_app
def no_reply_needed(conversation_id: int, undo: bool) -> None:
    """Mark conversation ID as no reply needed, until the contact writes again."""
    if undo:
        reply_decisions.mark_needs_reply(OPERATOR, conversation_id)
        output.say(f"Conversation {conversation_id} needs a reply again, unless the account has answered.")
    else:
        reply_decisions.mark_no_reply_needed(OPERATOR, conversation_id)
        output.say(f"Conversation {conversation_id} needs no reply.")
