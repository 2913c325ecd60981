"""`nametag`: the list of commands, and the one place that turns errors into a line and an exit status."""

import io
import pkgutil
import sys
from typing import Any

import click

from app.cli import output
from app.errors import Invalid, NametagError, NotFound
from app.settings import SettingsError

COMMANDS = {
    "up": "app.cli.up:up",
    "web": "app.cli.web:web",
    "worker": "app.cli.processes:run_worker",
    "scheduler": "app.cli.processes:run_scheduler",
    "sandbox": "app.cli.processes:run_sandbox",
    "db": "app.cli.database:db",
    "account": "app.cli.accounts:account",
    "user": "app.cli.users:user",
    "token": "app.cli.tokens:token",
    "rotate-keys": "app.cli.keys:rotate_keys",
    "sync": "app.cli.sync:sync",
    "doctor": "app.cli.doctor:check",
    "identities": "app.cli.identities:identities",
    "import-legacy": "app.cli.legacy:import_legacy",
    "backfill-profiles": "app.cli.jobs:backfill_profiles",
    "refresh-identities": "app.cli.jobs:refresh_identities",
    "jobs": "app.cli.jobs:jobs",
    "dead-letters": "app.cli.dead_letters:dead_letters",
    "audit": "app.cli.audit:audit",
}


class Misuse(click.ClickException):
    """What was typed, or set, is wrong; nothing was started."""

    exit_code = output.MISUSE


class Commands(click.Group):
    """A group whose commands end in one clear line instead of a traceback: exit 1 failed, 2 misuse.

    A command is loaded when it is asked for: all of them together, with the web server's, take half a second more.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line; characters that the terminal's encoding does not have are printed as escapes."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command's name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command by its name, None if there is none."""
        place = COMMANDS.get(cmd_name)
        found: click.Command | None = pkgutil.resolve_name(place) if place else None
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises ClickException for everything of ours that goes wrong."""
        try:
            return super().invoke(ctx)
        except (NametagError, SettingsError) as error:
            raise (Misuse if _is_misuse(error) else click.ClickException)(str(error)) from error


@click.group(cls=Commands)
@click.version_option(package_name="nametag")
def main() -> None:
    """Nametag: an inbox for Instagram messages in which every conversation shows who is writing."""


def _is_misuse(error: NametagError | SettingsError) -> bool:
    mistyped = isinstance(error, NotFound) and error.what == "account"
    return mistyped or isinstance(error, Invalid | SettingsError)


if __name__ == "__main__":
    main()
