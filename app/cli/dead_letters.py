"""Dead letters: `nametag dead-letters …`. Tokens in them are never shown."""

import sys

import click

from app.cli import output
from app.ingest import dead_letters as letters
from app.ingest import replay as replaying
from app.viewer import OPERATOR


@click.group("dead-letters")
def dead_letters() -> None:
    """Inspect, replay and discard webhook events that could not be processed."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@output.as_json
@output.in_app
def list_(limit: int, as_json: bool) -> None:
    """List the newest dead letters."""
    found = letters.newest(OPERATOR, limit=limit)
    if as_json:
        output.show([_facts(each.id) for each in found])
        return
    heads = ("ID", "RECEIVED", "REASON", "ACCOUNT", "TIMES", "EXPLANATION")
    rows = (
        (each.id, each.received_at, each.reason, each.ig_account_id, each.times, each.explanation) for each in found
    )
    output.table(heads, rows, empty="No dead letters.")


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@output.as_json
@output.in_app
def show(dead_letter_id: int, as_json: bool) -> None:
    """Show dead letter ID with its content."""
    facts = _facts(dead_letter_id)
    raw = letters.readable(letters.get(OPERATOR, dead_letter_id).raw)
    if as_json:
        output.show(facts | {"raw": raw})
        return
    output.facts(facts.items())
    output.say(raw)


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="[ID]", type=click.IntRange(1, 2**63 - 1), required=False)
@click.option("--all", "every", is_flag=True, help="Replay all dead letters, oldest first.")
@output.in_app
def replay(dead_letter_id: int | None, every: bool) -> None:
    """Replay dead letter ID, or all of them. Exit status 1 if one fails again."""
    if (dead_letter_id is None) != every:
        raise click.UsageError("Pass a dead letter ID or --all.")
    done = replaying.replay_all(OPERATOR) if dead_letter_id is None else replaying.replay_one(OPERATOR, dead_letter_id)
    output.say(done.says)
    if done.failed:
        sys.exit(output.FAILED)


@dead_letters.command("discard")
@click.argument("dead_letter_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@output.in_app
def discard(dead_letter_id: int) -> None:
    """Discard dead letter ID."""
    letters.discard(OPERATOR, dead_letter_id)
    output.say(f"Discarded dead letter {dead_letter_id}.")


def _facts(dead_letter_id: int) -> dict[str, object]:
    letter = letters.get(OPERATOR, dead_letter_id)
    return {
        "id": str(letter.id),
        "receivedAt": letter.received_at,
        "reason": letter.reason,
        "explanation": letter.explanation,
        "accountId": letter.ig_account_id,
        "times": letter.times,
    }
