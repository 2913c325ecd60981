"""The door to keys: `nametag rotate-keys`."""

import click

from app.accounts import keys
from app.cli import output
from app.viewer import OPERATOR


@click.command("rotate-keys")
@output.as_json
@output.in_app
def rotate_keys(as_json: bool) -> None:
    """Encrypt every stored token anew with the first of TOKEN_ENCRYPTION_KEYS; exit 1 if one cannot be read."""
    done = keys.rotate(OPERATOR)
    if as_json:
        output.show(done)
    else:
        output.say(f"{done.rotated} encrypted with the first key.")
        for account in done.unreadable:
            output.say(f"The token of {account} cannot be read with any key: connect the account again.")
    if done.unreadable:
        raise click.exceptions.Exit(output.FAILED)
