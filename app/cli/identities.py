"""Identities: `nametag identities export`."""

from pathlib import Path

import click

from app.cli import output
from app.identities import export, listing
from app.viewer import OPERATOR


@click.group()
def identities() -> None:
    """Export contact identities."""


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
