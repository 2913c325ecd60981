"""Dead letters: `nametag dead-letters …`. Tokens in them are never shown."""

import sys
from collections.abc import Callable
from typing import Any

import click

from app.cli import output
from app.ingest import dead_letters as letters
from app.ingest import replay as replaying
from app.ingest.dead_letters import LetterFilter
from app.viewer import OPERATOR


@click.group("dead-letters")
def dead_letters() -> None:
    """Inspect, replay and discard webhook events that could not be processed."""


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that limit a command to dead letters with a reason or of an account."""
    reason = click.option("--reason", help="Only with this reason, for example unknown_account.")
    return reason(click.option("--account-id", help="Only of this professional account ID.")(command))


@dead_letters.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=letters.PAGE, show_default=True)
@output.as_json
@output.in_app
def list_(reason: str | None, account_id: str | None, limit: int, as_json: bool) -> None:
    """List the newest dead letters."""
    found = letters.newest(OPERATOR, LetterFilter(reason, account_id), limit=limit)
    if as_json:
        output.show([letters.as_dict(each) for each in found])
        return
    heads = ("ID", "RECEIVED", "REASON", "ACCOUNT", "TIMES", "EXPLANATION")
    rows = (
        (each.id, each.received_at, each.reason, each.ig_account_id, each.times, each.explanation) for each in found
    )
    output.table(heads, rows, empty="No dead letters.")


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID", type=output.ROW_ID)
@output.as_json
@output.in_app
def show(dead_letter_id: int, as_json: bool) -> None:
    """Show dead letter ID with its content."""
    letter = letters.get(OPERATOR, dead_letter_id)
    facts, raw = letters.as_dict(letter), letters.readable(letter.raw)
    if as_json:
        output.show(facts | {"raw": raw})
        return
    output.facts(facts.items())
    output.say(raw)


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="[ID]", type=output.ROW_ID, required=False)
@click.option("--all", "every", is_flag=True, help="Replay all dead letters that match, oldest first.")
@filter_options
@output.in_app
def replay(dead_letter_id: int | None, every: bool, reason: str | None, account_id: str | None) -> None:
    """Replay dead letter ID, or all of them. Exit status 1 if one fails again."""
    if (dead_letter_id is None) != every:
        raise click.UsageError("Pass a dead letter ID or --all.")
    if dead_letter_id is None:
        done = replaying.replay_all(OPERATOR, LetterFilter(reason, account_id))
    else:
        done = replaying.replay_one(OPERATOR, dead_letter_id)
    output.say(done.says)
    if done.failed:
        sys.exit(output.FAILED)


@dead_letters.command("discard")
@click.argument("dead_letter_id", metavar="ID", type=output.ROW_ID)
@output.in_app
def discard(dead_letter_id: int) -> None:
    """Discard dead letter ID."""
    letters.discard(OPERATOR, dead_letter_id)
    output.say(f"Discarded dead letter {dead_letter_id}.")
