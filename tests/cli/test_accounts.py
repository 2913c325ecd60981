"""`nametag account …`: connect, list, check, remove."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.engine import db
from app.erasure import meta_callbacks
from app.models.account import Account
from app.models.conversation import Conversation
from tests.cli.commands import nametag, refused
from tests.factories import (
    ATELIER_NORD,
    ATELIER_NORD_PAGE,
    LEA,
    MAISON_LUNE,
    a_sandbox_account,
    an_account,
    people_wrote,
)
from tests.support.processes import Sandbox
from tests.support.signed_requests import a_signed_request

TOKEN = "IGAAsandboxMaisonLune0123456789"
ADD = ("account", "add", "--ig-account-id", MAISON_LUNE, "--login", "instagram", "--token-stdin")


def accounts() -> list[Account]:
    db.session.rollback()
    return list(db.session.scalars(select(Account).order_by(Account.id)))


def test_an_account_is_connected_with_a_token_that_meta_knows(meta: Sandbox) -> None:
    answer = nametag(*ADD, "--location-id", "loc-1", answer=TOKEN + "\n")
    assert (answer.exit_code, answer.stdout) == (0, "Connected maison.lune.\n")
    [account] = accounts()
    assert (account.ig_account_id, account.location_id) == (MAISON_LUNE, "loc-1")
    assert account.token is not None
    assert account.token.reveal() == TOKEN


def test_a_facebook_login_brings_its_page(meta: Sandbox) -> None:
    known = ("--ig-account-id", ATELIER_NORD, "--login", "facebook", "--page-id", ATELIER_NORD_PAGE, "--token-stdin")
    assert nametag("account", "add", *known, answer="EAAsandboxAtelierNord0123456789").exit_code == 0
    assert accounts()[0].ig_page_id == ATELIER_NORD_PAGE


def test_a_token_that_meta_refuses_connects_nothing(meta: Sandbox) -> None:
    line = refused(nametag(*ADD, answer="IGAAwrong"), status=2)
    assert "token" in line
    assert "IGAAwrong" not in line
    assert accounts() == []


def test_without_a_check_meta_is_not_asked(app: Flask) -> None:
    assert nametag(*ADD, "--no-check", "--username", "maison.lune", answer=TOKEN).exit_code == 0


@pytest.mark.parametrize("missing", ["--login", "--ig-account-id", "--token-stdin"])
def test_what_is_needed_has_to_be_said(app: Flask, missing: str) -> None:
    arguments = list(ADD)
    place = arguments.index(missing)
    del arguments[place : place + (1 if missing == "--token-stdin" else 2)]
    answer = nametag(*arguments, answer=TOKEN)
    assert (answer.exit_code, accounts()) == (2, [])


def test_listing_shows_no_token(meta: Sandbox) -> None:
    a_sandbox_account()
    lines = nametag("account", "list").stdout.splitlines()
    assert lines[0].startswith("ID")
    assert lines[1].startswith(f"{MAISON_LUNE}  maison.lune  instagram")
    assert "Valid." in lines[1]
    shown = nametag("account", "list", "--json").stdout
    assert [each["accountId"] for each in json.loads(shown)] == [MAISON_LUNE]
    assert "IGAA" not in shown
    assert "tokenExpiresAt" in shown


def test_checking_asks_meta_and_says_what_it_answers(meta: Sandbox) -> None:
    a_sandbox_account()
    assert nametag("account", "check", MAISON_LUNE).stdout == "The access token works.\n"
    meta.post("faults", mode="190")
    answer = nametag("account", "check", MAISON_LUNE, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["works"]) == (1, False)


def test_removing_an_account_deletes_its_data(meta: Sandbox) -> None:
    a_sandbox_account()
    people_wrote(LEA)
    assert nametag("account", "remove", MAISON_LUNE, "--yes").stdout == "Removed maison.lune.\n"
    assert accounts() == []
    assert db.session.scalars(select(Conversation)).all() == []


def test_open_requests_of_account_owners_are_listed_assigned_and_closed(app: Flask) -> None:
    an_account()
    assert nametag("account", "requests", "list").stdout == "No open requests.\n"
    owners = ("10200000000000009", "10200000000000010")
    codes = [meta_callbacks.request_deletion(a_signed_request(user_id)) for user_id in owners]
    listed = json.loads(nametag("account", "requests", "list", "--json").stdout)
    assert [(each["code"], each["userId"]) for each in listed] == list(
        zip(codes, ("10200000000000009", "10200000000000010"), strict=True)
    )
    assert nametag("account", "requests", "close", codes[0]).stdout == f"Closed request {codes[0]}.\n"
    assert nametag("account", "requests", "assign", codes[1], MAISON_LUNE, "--yes").exit_code == 0
    assert accounts() == []
    assert nametag("account", "requests", "list").stdout == "No open requests.\n"
    assert "request" in refused(nametag("account", "requests", "close", codes[0]), status=1)


@pytest.mark.parametrize("command", ["check", "remove"])
def test_an_unknown_account_is_misuse(app: Flask, command: str) -> None:
    assert "account" in refused(nametag("account", command, "1"), status=2)
