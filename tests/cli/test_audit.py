"""`nametag audit list`: who did what."""

import json

from flask import Flask

from tests.cli.commands import nametag


def test_the_list_tells_who_did_what(app: Flask) -> None:
    nametag("token", "create", "crm", "--scopes", "read")
    nametag("token", "revoke", "crm")
    newest, oldest = json.loads(nametag("audit", "list", "--json").stdout)
    assert (newest["actor"], newest["action"], newest["subject"]) == ("command line", "revoked a token", "token 1")
    assert oldest["action"] == "created a token"
    lines = nametag("audit", "list", "--action", "created a token").stdout.splitlines()
    assert len(lines) == 2
    assert "crm" in lines[1]


def test_nothing_done_is_said(app: Flask) -> None:
    assert nametag("audit", "list").stdout == "Nothing was done yet.\n"


def test_an_action_there_is_none_of_is_misuse(app: Flask) -> None:
    assert nametag("audit", "list", "--action", "anything").exit_code == 2
