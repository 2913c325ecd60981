"""`nametag user …`."""

import json

import pytest
from flask import Flask

from app.db.engine import db
from app.users import sign_in, users
from app.viewer import OPERATOR, Role
from tests.cli.commands import nametag, refused
from tests.factories import MAISON_LUNE, an_account

NADIA, PASSWORD = "nadia@example.com", "a moonlit correct horse"
ADD = ("user", "add", NADIA, "--role", "ops", "--password-stdin")


def test_who_was_added_may_sign_in(app: Flask) -> None:
    answer = nametag(*ADD, answer=PASSWORD + "\n")
    assert (answer.exit_code, answer.stdout) == (0, f"Added {NADIA} with the role ops.\n")
    assert sign_in.authenticate(NADIA, PASSWORD)


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
    assert (nadia["email"], nadia["role"], nadia["disabledAt"]) == (NADIA, "ops", None)
    assert not {"passwordHash", "sessionKey", "password"} & nadia.keys()


def test_a_new_password_replaces_the_old_one(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    answer = nametag("user", "passwd", NADIA, "--password-stdin", answer="another moonlit horse")
    assert answer.stdout == f"Changed the password of {NADIA} and signed them out.\n"
    assert not sign_in.authenticate(NADIA, PASSWORD)
    assert sign_in.authenticate(NADIA, "another moonlit horse")


def test_who_is_disabled_stays_out(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    assert nametag("user", "disable", NADIA).exit_code == 0
    assert not sign_in.authenticate(NADIA, PASSWORD)


@pytest.mark.parametrize("arguments", [("passwd", "--password-stdin"), ("disable",)])
def test_somebody_unknown_is_one_line(app: Flask, arguments: tuple[str, ...]) -> None:
    refused(nametag("user", arguments[0], NADIA, *arguments[1:], answer=PASSWORD), status=1)


def test_somebody_may_be_limited_to_accounts(app: Flask) -> None:
    an_account()
    nametag(*ADD, "--account-id", MAISON_LUNE, answer=PASSWORD)
    assert MAISON_LUNE in nametag("user", "list").stdout
    assert users.by_email(OPERATOR, NADIA).account_ids == frozenset({1})
    refused(nametag(*ADD, "--account-id", "1", answer=PASSWORD), status=2)


def test_rights_are_changed_and_an_admin_is_never_limited(app: Flask) -> None:
    an_account()
    nametag(*ADD, answer=PASSWORD)
    assert nametag("user", "role", NADIA, "--role", "agent", "--account-id", MAISON_LUNE).exit_code == 0
    assert users.by_email(OPERATOR, NADIA).role is Role.AGENT
    refused(nametag("user", "role", NADIA, "--role", "admin", "--account-id", MAISON_LUNE), status=2)
    assert nametag("user", "role", NADIA, "--role", "ops").exit_code == 0
    db.session.rollback()  # read again, as another command does
    assert users.by_email(OPERATOR, NADIA).account_ids is None


def test_who_was_disabled_may_come_back(app: Flask) -> None:
    nametag(*ADD, answer=PASSWORD)
    nametag("user", "disable", NADIA)
    assert "disabled" in nametag("user", "list").stdout
    assert nametag("user", "enable", NADIA).exit_code == 0
    assert sign_in.authenticate(NADIA, PASSWORD)
