"""Accounts in the API: never an access token."""

import json
from datetime import timedelta

from flask import Flask

from app import clock
from tests.api.clients import an_api_client
from tests.cli.commands import nametag
from tests.factories import ATELIER_NORD, MAISON_LUNE, a_sandbox_account, an_account
from tests.support.processes import Sandbox


def test_accounts_are_listed_without_their_tokens(app: Flask) -> None:
    a_sandbox_account(location_id="paris-1")
    answer = an_api_client(app).get("/api/accounts")
    [account] = answer.get_json()["data"]
    assert (account["accountId"], account["locationId"], account["state"]) == (MAISON_LUNE, "paris-1", "connected")
    assert "IGAA" not in answer.text
    assert "token" not in account


def test_accounts_have_token_life_subscription_and_silence_as_on_the_command_line(app: Flask) -> None:
    a_sandbox_account(token_expires_at=clock.now() + timedelta(days=3), missing_subscriptions=["messages"])
    [account] = an_api_client(app).get("/api/accounts").get_json()["data"]
    assert (account["reconnectSoon"], account["missingSubscriptions"], account["silent"]) == (True, ["messages"], False)
    assert account["tokenStatus"]
    assert json.loads(nametag("account", "list", "--json").stdout) == [account]


def test_an_account_is_checked_with_meta(app: Flask, meta: Sandbox) -> None:
    a_sandbox_account()
    found = an_api_client(app).post(f"/api/accounts/{MAISON_LUNE}/check").get_json()
    assert (found["accountId"], found["works"], found["problem"]) == (MAISON_LUNE, True, None)
    assert json.loads(nametag("account", "check", MAISON_LUNE, "--json").stdout) == found


def test_a_limited_token_sees_its_accounts_alone(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    limited = an_api_client(app, "read", accounts=[other.id])
    assert [each["accountId"] for each in limited.get("/api/accounts").get_json()["data"]] == [ATELIER_NORD]
