"""The door to older systems: `nametag import-legacy`."""

from pathlib import Path

import click

from app.cli import output
from app.ingest import legacy


@click.command("import-legacy")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output.as_json
@output.in_app
def import_legacy(file: Path, as_json: bool) -> None:
    """Bring in names from FILE, a dump of instagram_user_cache or conversations: SQLite, SQL, JSON (lines) or CSV."""
    imported = legacy.load(file)
    if as_json:
        output.show(imported)
        return
    output.facts(
        (
            ("total", imported.total),
            ("null accounts", imported.null_accounts),
            ("unique pairs", imported.unique_pairs),
            ("accounts not connected here", imported.unknown_accounts),
            ("without a usable person", imported.unusable),
            ("without a name", imported.nameless),
            ("names new or newer", imported.names),
        )
    )
