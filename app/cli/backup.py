"""`nametag backup` and `nametag restore`."""

from pathlib import Path

import click

from app.backup import transfer
from app.backup.transfer import Restored
from app.cli import output
from app.text import plural

_FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = {  # tables, and one of their rows
    "accounts": "account",
    "conversations": "conversation",
    "messages": "message",
    "identities": "identity",
    "users": "user",
}


@click.command("backup")
@click.argument("file", type=_FILE)
@output.as_json
@output.in_app
def backup(file: Path, as_json: bool) -> None:
    """Back up the database to FILE, while Nametag runs. It restores into SQLite and PostgreSQL."""
    head = transfer.back_up(file)
    if as_json:
        output.show(head)
        return
    counts = ", ".join(plural(head.tables[name].rows, noun, name) for name, noun in SHOWN.items())
    output.say(f"Backed up to {file}: {counts}.")
    output.say("Encryption keys are not in it: keep TOKEN_ENCRYPTION_KEYS and SECRET_KEY in another place.")


@click.command("restore")
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace everything in the database.")
@click.option("--deletions", "deletions_file", type=_FILE, help="A copy of deletions.jsonl.")
@output.as_json
@output.in_app
def restore(file: Path, replace: bool, deletions_file: Path | None, as_json: bool) -> None:
    """Restore a backup from FILE, and delete again what was deleted since. Stop all processes first."""
    done = transfer.restore(file, replace=replace, deletions_file=deletions_file)
    if as_json:
        output.show(done)
    else:
        _report(done)


def _report(done: Restored) -> None:
    rows = sum(part.rows for part in done.backup.tables.values())
    counted = f"{plural(rows, 'row')} of {plural(len(done.backup.tables), 'table')}"
    output.say(f"Restored {counted}, as of {done.backup.at:%d %B %Y %H:%M} UTC.")
    again = done.replayed
    if again.contacts or again.accounts:
        gone = f"{plural(again.contacts, 'contact')}, {plural(again.accounts, 'account')}"
        output.say(f"Deleted again, because they were deleted after the backup: {gone}.")
    for account in done.unreadable:
        output.say(f"Can't decrypt the access token of account {account}. Reconnect the account.")
    if done.missing_keys:
        output.say(
            f"The backup was made with other keys (fingerprints {', '.join(done.missing_keys)}). "
            "If you have them, add them to TOKEN_ENCRYPTION_KEYS instead."
        )
