"""Identities: `nametag identities list|export`."""

from pathlib import Path

import click

from app.accounts import listing as accounts
from app.cli import output
from app.identities import export, listing
from app.viewer import OPERATOR


@click.group()
def identities() -> None:
    """List and export contact identities."""


@identities.command("list")
@click.option("--account-id", help="Only of this professional account ID.")
@click.option("--state", help="Only in this state: known, stale or unknown.")
@click.option("--reason", help="Only with this reason for a missing name.")
@click.option("--search", "q", default="", help="Part of a username, an earlier username, a name or an ID.")
@click.option("--limit", type=click.IntRange(1, listing.MOST_ROWS), default=listing.ROWS, show_default=True)
@output.as_json
@output.in_app
def list_(account_id: str | None, state: str | None, reason: str | None, q: str, limit: int, as_json: bool) -> None:
    """List identities, newest contact first."""
    account = accounts.by_ig_id(OPERATOR, account_id).id if account_id else None
    want = listing.parse_filter(account_id=account, state=state, reason=reason, q=q, limit=limit)
    found = [listing.as_dict(each) for each in listing.page(OPERATOR, want).rows]
    if as_json:
        output.show(found)
        return
    keys = ("id", "accountId", "participantPlatformId", "displayName", "identityState", "reason", "lastSuccessAt")
    heads = ("ID", "ACCOUNT", "CONTACT", "NAME", "STATE", "REASON", "LAST SUCCESS")
    output.table(heads, (tuple(each[key] for key in keys) for each in found), empty="No contacts found.")


@identities.command("export")
@click.option("--format", "format_", type=click.Choice(tuple(export.FORMATS)), default="csv", show_default=True)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output.",
)
@output.in_app
def export_(format_: str, file: Path | None) -> None:
    """Export all identities as CSV (for spreadsheets) or JSON lines (for scripts), in UTF-8."""
    lines = export.lines(OPERATOR, listing.parse_filter(), format_=format_)
    if file is None:
        for piece in lines:
            click.echo(piece.encode(), nl=False)  # UTF-8 whatever the terminal's encoding is
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as written:
            written.writelines(lines)
    except OSError as error:
        raise click.ClickException(f"Can't write {file}: {error.strerror}. Nothing was exported.") from error
