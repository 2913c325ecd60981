"""`nametag`: the list of commands. Turns errors into one line and an exit status."""

import gc
import io
import pkgutil
import sys
from typing import Any

import click

from app import installation
from app.cli import output
from app.errors import Invalid, NametagError, NotFound
from app.settings import SettingsError

COMMANDS = {
    "up": "app.cli.up:up",
    "web": "app.cli.web:web",
    "worker": "app.cli.worker:run_worker",
    "scheduler": "app.cli.scheduler:run_scheduler",
    "sandbox": "app.cli.sandbox:run_sandbox",
    "db": "app.cli.database:db",
    "backup": "app.cli.backup:backup",
    "restore": "app.cli.backup:restore",
    "account": "app.cli.accounts:account",
    "user": "app.cli.users:user",
    "token": "app.cli.tokens:token",
    "rotate-keys": "app.cli.keys:rotate_keys",
    "search": "app.cli.search:search",
    "sync": "app.cli.sync:sync",
    "config": "app.cli.config:config",
    "doctor": "app.cli.doctor:check",
    "health": "app.cli.doctor:health",
    "contact": "app.cli.contact:contact",
    "identities": "app.cli.identities:identities",
    "import-legacy": "app.cli.legacy:import_legacy",
    "backfill-profiles": "app.cli.jobs:backfill_profiles",
    "refresh-identities": "app.cli.jobs:refresh_identities",
    "jobs": "app.cli.jobs:jobs",
    "schedules": "app.cli.schedules:schedules",
    "dead-letters": "app.cli.dead_letters:dead_letters",
    "alert": "app.cli.alerts:alert",
    "audit": "app.cli.audit:audit",
    "inbox": "app.cli.inbox:inbox",
    "gaps": "app.cli.gaps:gaps_",
    "insights": "app.cli.insights:insights",
}


class Misuse(click.ClickException):
    """Signals a wrong argument or setting. Nothing was started."""

    exit_code = output.MISUSE


class Commands(click.Group):
    """A group whose commands fail with one line instead of a traceback. Exit status 1: failed, 2: usage.

    A command is loaded when it is called: loading all of them takes half a second more.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line. Prints characters that the terminal's encoding lacks as escapes."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return the command with this name, None if there is none."""
        path = COMMANDS.get(cmd_name)
        gc.disable()  # loading makes many objects and no garbage; looking for it would take a fifth of the time
        try:
            found: click.Command | None = pkgutil.resolve_name(path) if path else None
        finally:
            gc.enable()
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises ClickException for each NametagError and SettingsError."""
        try:
            return super().invoke(ctx)
        except (NametagError, SettingsError) as error:
            raise (Misuse if _is_misuse(error) else click.ClickException)(str(error)) from error


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        commit = installation.commit()
        click.echo(f"nametag {installation.VERSION}{f' ({commit})' if commit else ''}")
        context.exit()


@click.group(cls=Commands)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and the Git commit.",
)
def main() -> None:
    """Nametag, an inbox for Instagram messages that shows who is writing."""


def _is_misuse(error: NametagError | SettingsError) -> bool:
    mistyped = isinstance(error, NotFound) and error.what == "account"
    return mistyped or isinstance(error, Invalid | SettingsError)


if __name__ == "__main__":
    main()
