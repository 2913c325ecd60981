"""`nametag token …`."""

import json

from flask import Flask

from app.users import api_tokens
from tests.cli.commands import nametag, refused
from tests.factories import MAISON_LUNE, an_account


def test_a_token_is_printed_alone_and_once(app: Flask) -> None:
    account = an_account()
    answer = nametag("token", "create", "crm", "--scopes", "read,jobs", "--account-id", MAISON_LUNE)
    found = api_tokens.authenticate(answer.stdout.strip())
    assert found is not None
    assert (found.name, found.account_ids, answer.stdout.count("\n")) == ("crm", (account.id,), 1)
    [listed] = json.loads(nametag("token", "list", "--json").stdout)
    assert (listed["name"], listed["scopes"], listed["accountIds"]) == ("crm", ["jobs", "read"], [MAISON_LUNE])
    assert answer.stdout.strip() not in nametag("token", "list").stdout


def test_a_token_is_revoked(app: Flask) -> None:
    secret = nametag("token", "create", "crm", "--scopes", "read").stdout.strip()
    assert nametag("token", "revoke", "crm").stdout == "Revoked crm.\n"
    assert api_tokens.authenticate(secret) is None
    refused(nametag("token", "revoke", "crm"), status=1)


def test_what_is_typed_wrong_is_said_in_one_line(app: Flask) -> None:
    refused(nametag("token", "create", "crm", "--scopes", "tea"), status=2)
    refused(nametag("token", "create", "crm", "--scopes", "read", "--account-id", "999"), status=2)
    assert nametag("token", "list").stdout == "No API tokens.\n"
