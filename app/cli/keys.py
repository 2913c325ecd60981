"""Encryption keys: `nametag rotate-keys`."""

import click

from app.accounts import key_rotation
from app.cli import output
from app.text import plural
from app.viewer import OPERATOR


@click.command("rotate-keys")
@output.as_json
@output.in_app
def rotate_keys(as_json: bool) -> None:
    """Re-encrypt all stored tokens with the first key in TOKEN_ENCRYPTION_KEYS. Exit status 1 if one can't be read."""
    done = key_rotation.rotate(OPERATOR)
    if as_json:
        output.show(done)
    else:
        output.say(f"Re-encrypted {plural(done.rotated, 'token')} with the first key.")
        for account in done.unreadable:
            output.say(f"Can't decrypt the token of account {account} with any key. Reconnect the account.")
        for receiver in done.unreadable_receivers:
            output.say(f"Can't decrypt the secret of alert receiver {receiver} with any key. Add the receiver again.")
    if done.unreadable or done.unreadable_receivers:
        raise click.exceptions.Exit(output.FAILED)
