"""`nametag user …`: who may sign in."""

import json

import pytest
from flask import Flask

from app.users import sign_in
from tests.cli.commands import nametag, refused

NADIA, PASSWORD = "nadia@example.com", "a moonlit correct horse"
ADD = ("user", "add", NADIA, "--role", "ops", "--password-stdin")


def test_who_was_added_may_sign_in(app: Flask) -> None:
    answer = nametag(*ADD, answer=PASSWORD + "\n")
    assert (answer.exit_code, answer.stdout) == (0, f"{NADIA} may sign in as ops.\n")
    assert sign_in.check(NADIA, PASSWORD)


@pytest.mark.parametrize("email", ["nadia", "nadia@", "na dia@example.com", ""])
def test_an_address_that_is_none_is_misuse(app: Flask, email: str) -> None:
    refused(nametag("user", "add", email, "--role", "ops", "--password-stdin", answer=PASSWORD), status=2)
    assert json.loads(nametag("user", "list", "--json").stdout) == []


def test_a_weak_password_and_a_second_adding_are_refused(app: Flask) -> None:
    assert "password" in refused(nametag(*ADD, answer="short"), status=2).lower()
    nametag(*ADD, answer=PASSWORD)
    assert "already" in refused(nametag(*ADD, answer=PASSWORD), status=2)


def test_listing_shows_no_password(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    assert NADIA in nametag("user", "list").stdout
    [nadia] = json.loads(nametag("user", "list", "--json").stdout)
    assert (nadia["email"], nadia["role"], nadia["disabled_at"]) == (NADIA, "ops", None)
    assert not {"password_hash", "session_key", "password"} & nadia.keys()


def test_a_new_password_replaces_the_old_one(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    answer = nametag("user", "passwd", NADIA, "--password-stdin", answer="another moonlit horse")
    assert answer.stdout == "The password is changed; every session has ended.\n"
    assert not sign_in.check(NADIA, PASSWORD)
    assert sign_in.check(NADIA, "another moonlit horse")


def test_who_is_disabled_stays_out(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    assert nametag("user", "disable", NADIA).exit_code == 0
    assert not sign_in.check(NADIA, PASSWORD)


@pytest.mark.parametrize("arguments", [("passwd", "--password-stdin"), ("disable",)])
def test_somebody_unknown_is_one_line(app: Flask, arguments: tuple[str, ...]) -> None:
    refused(nametag("user", arguments[0], NADIA, *arguments[1:], answer=PASSWORD), status=1)
