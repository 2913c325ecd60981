"""Accounts in the API: never an access token."""

from flask import Flask

from tests.api.clients import an_api_client
from tests.factories import ATELIER_NORD, MAISON_LUNE, a_sandbox_account, an_account


def test_accounts_are_listed_without_their_tokens(app: Flask) -> None:
    a_sandbox_account(location_id="paris-1")
    answer = an_api_client(app).get("/api/accounts")
    [account] = answer.get_json()["data"]
    assert (account["accountId"], account["locationId"], account["state"]) == (MAISON_LUNE, "paris-1", "connected")
    assert "IGAA" not in answer.text
    assert "token" not in answer.text.lower()


def test_a_limited_token_sees_its_accounts_alone(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    limited = an_api_client(app, "read", accounts=[other.id])
    assert [each["accountId"] for each in limited.get("/api/accounts").get_json()["data"]] == [ATELIER_NORD]
