"""The door to what could not be placed: `nametag dead-letters …`. What is shown carries no token."""

import sys

import click

from app.cli import output
from app.ingest import dead_letters as letters
from app.ingest import replay as replaying
from app.viewer import OPERATOR


@click.group("dead-letters")
def dead_letters() -> None:
    """Read what Meta sent and Nametag could not place, and try it again."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@output.as_json
@output.in_app
def list_(limit: int, as_json: bool) -> None:
    """List the newest ones."""
    found = letters.newest(OPERATOR, limit=limit)
    if as_json:
        output.show([_facts(each.id) for each in found])
        return
    heads = ("ID", "RECEIVED", "REASON", "ACCOUNT", "TIMES", "EXPLANATION")
    rows = (
        (each.id, each.received_at, each.reason, each.ig_account_id, each.times, each.explanation) for each in found
    )
    output.table(heads, rows, empty="There are none.")


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@output.as_json
@output.in_app
def show(dead_letter_id: int, as_json: bool) -> None:
    """Show number ID whole."""
    facts = _facts(dead_letter_id)
    raw = letters.readable(letters.get(OPERATOR, dead_letter_id).raw)
    if as_json:
        output.show(facts | {"raw": raw})
        return
    output.facts(facts.items())
    output.say(raw)


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="[ID]", type=click.IntRange(1, 2**63 - 1), required=False)
@click.option("--all", "every", is_flag=True, help="Try all of them, the first received first.")
@output.in_app
def replay(dead_letter_id: int | None, every: bool) -> None:
    """Replay dead letter ID, or all of them; exit 1 when one fails again."""
    if (dead_letter_id is None) != every:
        raise click.UsageError("Name one dead letter, or say --all.")
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
        "id": letter.id,
        "receivedAt": letter.received_at,
        "reason": letter.reason,
        "explanation": letter.explanation,
        "accountId": letter.ig_account_id,
        "times": letter.times,
    }
