"""The door to identities: `nametag identities export`."""

from pathlib import Path

import click

from app.cli import output
from app.identities import export, listing
from app.viewer import OPERATOR


@click.group()
def identities() -> None:
    """Everyone who writes or wrote, and what is known of them."""


@identities.command("export")
@click.option("--format", "format_", type=click.Choice(tuple(export.FORMATS)), default="csv", show_default=True)
@click.option("--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the screen.")
@output.in_app
def export_(format_: str, file: Path | None) -> None:
    """Write every identity as CSV (for spreadsheets) or JSON lines (for programs), in UTF-8."""
    lines = export.lines(OPERATOR, listing.parse_filter(), format_=format_)
    if file is None:
        for piece in lines:
            click.echo(piece.encode(), nl=False)  # a file's encoding, whatever the terminal's
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as written:
            written.writelines(lines)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error
