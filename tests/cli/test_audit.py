"""`nametag audit list`."""

import json

from flask import Flask

from app.audit import Action
from app.users import refusals
from app.viewer import STRANGER
from tests.cli.commands import nametag


def test_the_list_tells_who_did_what(app: Flask) -> None:
    nametag("token", "create", "crm", "--scopes", "read")
    nametag("token", "revoke", "crm")
    newest, oldest = json.loads(nametag("audit", "list", "--json").stdout)
    assert (newest["actor"], newest["action"], newest["subject"]) == ("command line", "api_token_revoked", "token 1")
    assert oldest["action"] == "api_token_created"
    lines = nametag("audit", "list", "--action", "api_token_created").stdout.splitlines()
    assert len(lines) == 2
    assert "crm" in lines[1]


def test_the_list_shows_refused_attempts_with_their_route(app: Flask) -> None:
    refusals.record(STRANGER, Action.SIGN_IN_FAILED, "claim email", address="192.0.2.1", route="GET /login/oidc/back")
    lines = nametag("audit", "list", "--action", "sign_in_failed").stdout.splitlines()
    assert lines[0].split()[-2:] == ["ADDRESS", "ROUTE"]
    assert lines[1].endswith("GET /login/oidc/back")
    assert "claim email" in lines[1]
    assert json.loads(nametag("audit", "list", "--json").stdout)[0]["route"] == "GET /login/oidc/back"


def test_nothing_done_is_said(app: Flask) -> None:
    assert nametag("audit", "list").stdout == "No audit entries.\n"


def test_an_action_there_is_none_of_is_misuse(app: Flask) -> None:
    assert nametag("audit", "list", "--action", "anything").exit_code == 2
