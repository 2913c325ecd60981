"""`nametag config`: show the settings in effect, and where each came from."""

import click

from app import settings
from app.cli import output


@click.command("config")
@output.as_json
def config(as_json: bool) -> None:
    """Show all settings in effect and where each was given. Secrets are hidden, passwords in URLs too."""
    shown = settings.effective()
    if as_json:
        output.show(shown)
        return
    rows = [(each.name, "(hidden)" if each.value is None else each.value, each.source) for each in shown]
    output.table(("SETTING", "VALUE", "SOURCE"), rows, empty="")
