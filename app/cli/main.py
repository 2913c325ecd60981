"""`nametag`: the list of commands, and the one place that turns errors into a line and an exit status."""

from typing import Any

import click

from app.cli import (
    accounts,
    audit,
    database,
    dead_letters,
    doctor,
    identities,
    jobs,
    keys,
    legacy,
    output,
    processes,
    sync,
    tokens,
    up,
    users,
)
from app.errors import Invalid, NametagError, NotFound
from app.settings import SettingsError


class Misuse(click.ClickException):
    """What was typed, or set, is wrong; nothing was started."""

    exit_code = output.MISUSE


class Commands(click.Group):
    """A group whose commands end in one clear line instead of a traceback: exit 1 failed, 2 misuse."""

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


for command in (
    up.up,
    processes.web,
    processes.worker,
    processes.scheduler,
    processes.sandbox,
    database.db,
    accounts.account,
    users.user,
    tokens.token,
    keys.rotate_keys,
    sync.sync,
    doctor.check,
    identities.identities,
    legacy.import_legacy,
    jobs.backfill_profiles,
    jobs.refresh_identities,
    jobs.jobs,
    dead_letters.dead_letters,
    audit.audit,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
