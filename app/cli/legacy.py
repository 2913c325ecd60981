"""`nametag import-legacy`: import names from an older system."""

from pathlib import Path

import click

from app.cli import output
from app.legacy_import import importer


@click.command("import-legacy")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output.as_json
@output.in_app
def import_legacy(file: Path, as_json: bool) -> None:
    """Import names from FILE, a dump of instagram_user_cache or conversations: SQLite, SQL, JSON (lines) or CSV."""
    counts = importer.import_names(file)
    if as_json:
        output.show(counts)
        return
    output.facts(
        (
            ("total rows", counts.total),
            ("rows without an account", counts.null_accounts),
            ("distinct contacts", counts.unique_pairs),
            ("rows of accounts not connected here", counts.unknown_accounts),
            ("rows without a contact ID", counts.unusable),
            ("rows without a name", counts.without_name),
            ("names added or updated", counts.names),
        )
    )
