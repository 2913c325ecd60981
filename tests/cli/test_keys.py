"""`nametag rotate-keys`."""

import json

from cryptography.fernet import Fernet
from flask import Flask

from app import settings
from tests.cli.commands import nametag
from tests.factories import MAISON_LUNE, an_account


def test_what_was_encrypted_anew_is_counted_and_what_was_not_is_named(app: Flask) -> None:
    an_account(token="IGAAone")
    assert nametag("rotate-keys").stdout == "Re-encrypted 1 token with the first key.\n"
    with settings.using(token_encryption_keys=(Fernet.generate_key().decode(),)):
        answer = nametag("rotate-keys", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["unreadable"]) == (1, [MAISON_LUNE])
