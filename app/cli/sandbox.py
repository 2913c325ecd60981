"""`nametag sandbox`: become the sandbox, a program of its own."""

import os
import sys

import click

from app import installation, settings


@click.command("sandbox", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run_sandbox(options: tuple[str, ...]) -> None:
    """Run the sandbox, a local stand-in for Meta's API. `nametag sandbox --help` lists its options."""
    if settings.current().production:
        raise click.UsageError("The sandbox can't run when NAMETAG_ENV=production.")
    os.execv(sys.executable, [*installation.PYTHON, "-m", "app.sandbox", *options])  # noqa: S606 - the process becomes the sandbox
