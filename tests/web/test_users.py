"""The Users pages, for admins."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.users import sign_in, users
from app.viewer import OPERATOR, Role
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.web.browsing import PASSWORD, click, signed_in

NADIA = "nadia@example.com"


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    an_account()
    an_account(ATELIER_NORD)
    return signed_in(app, Role.ADMIN)


def made_password(page: str) -> str:
    found = re.search(r"<code>([^<]+)</code>", page)
    assert found, page
    return unescape(found[1])


def test_an_admin_adds_somebody_whose_password_is_shown_once(admin: FlaskClient) -> None:
    page = click(admin, "/users", htmx=False, email=NADIA, role="agent", account=MAISON_LUNE).text
    assert sign_in.authenticate(NADIA, made_password(page)) is not None
    added = users.by_email(OPERATOR, NADIA)
    assert (added.role, added.account_ids) == (Role.AGENT, frozenset({1}))
    assert "<code>" not in admin.get("/users").text
    assert NADIA in admin.get("/users").text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"email": "nadia"}, "must look like"),
        ({"email": "admin@example.com"}, "A user with this email address already exists"),
        ({"role": "owner"}, None),
        ({"role": "admin", "account": MAISON_LUNE}, "Admins always have access to all accounts"),
        ({"account": "17841499999999999"}, "Select accounts from the list"),
    ],
)
def test_what_is_wrong_adds_nobody(admin: FlaskClient, wrong: dict[str, str], words: str | None) -> None:
    answer = click(admin, "/users", htmx=False, **({"email": NADIA, "role": "agent"} | wrong))
    assert answer.status_code == 422
    assert words is None or words in answer.text
    assert len(users.list_users(OPERATOR)) == 1


def test_a_form_sets_nothing_but_what_it_shows(admin: FlaskClient) -> None:
    more = {"id": "99", "password_hash": "x", "session_key": "x", "disabled_at": "2026-01-01", "account_ids": "2"}
    click(admin, "/users", htmx=False, email=NADIA, role="agent", account=MAISON_LUNE, **more)
    added = users.by_email(OPERATOR, NADIA)
    assert (added.id, added.account_ids, added.disabled_at) == (2, frozenset({1}), None)
    assert added.session_key != "x"


def test_rights_are_changed_and_every_session_ends(admin: FlaskClient, app: Flask) -> None:
    nadia = signed_in(app, Role.OPS, email=NADIA)
    assert click(admin, "/users/2/access", htmx=False, role="agent", account=ATELIER_NORD).status_code == 303
    changed = users.by_email(OPERATOR, NADIA)
    assert (changed.role, changed.account_ids) == (Role.AGENT, frozenset({2}))
    assert nadia.get("/inbox").headers["Location"] == "/login"
    click(admin, "/users/2/access", htmx=False, role="ops", every="1")
    assert users.by_email(OPERATOR, NADIA).account_ids is None


def test_no_box_ticked_limits_to_nothing(admin: FlaskClient, app: Flask) -> None:
    signed_in(app, Role.OPS, email=NADIA)
    click(admin, "/users/2/access", htmx=False, role="agent")
    assert users.by_email(OPERATOR, NADIA).account_ids == frozenset()
    refused = click(admin, "/users/2/access", htmx=False, role="admin", account=MAISON_LUNE)
    assert refused.status_code == 422
    assert users.by_email(OPERATOR, NADIA).role is Role.AGENT


def test_a_new_password_is_shown_once_and_replaces_the_old_one(admin: FlaskClient, app: Flask) -> None:
    nadia = signed_in(app, Role.OPS, email=NADIA)
    page = click(admin, "/users/2/password", htmx=False).text
    assert sign_in.authenticate(NADIA, PASSWORD) is None
    assert sign_in.authenticate(NADIA, made_password(page)) is not None
    assert nadia.get("/inbox").status_code == 303


def test_somebody_is_switched_off_and_on(admin: FlaskClient, app: Flask) -> None:
    nadia = signed_in(app, Role.OPS, email=NADIA)
    click(admin, "/users/2/disable", htmx=False)
    assert f"Disabled {NADIA} and signed them out." in admin.get("/users/2").text
    assert nadia.get("/inbox").headers["Location"] == "/login"
    assert sign_in.authenticate(NADIA, PASSWORD) is None
    click(admin, "/users/2/enable", htmx=False)
    assert sign_in.authenticate(NADIA, PASSWORD) is not None


def test_disabling_a_user_asks_first_and_leads_back_to_their_page(admin: FlaskClient, app: Flask) -> None:
    signed_in(app, Role.OPS, email=NADIA)
    assert f'hx-confirm="Disable {NADIA}? This signs the user out' in admin.get("/users/2").text
    done = click(admin, "/users/2/disable")
    assert (done.status_code, done.headers["HX-Redirect"]) == (204, "/users/2")
    page = admin.get("/users/2").text
    assert f"Disabled {NADIA}" in page
    assert "hx-confirm" not in page.partition("user-sign-in")[2].partition("</section>")[0]


def test_the_list_names_the_accounts_of_each_user(admin: FlaskClient) -> None:
    click(admin, "/users", htmx=False, email=NADIA, role="agent", account=ATELIER_NORD)
    assert '<td data-label="Accounts"><bdi>atelier.nord</bdi></td>' in admin.get("/users").text
    click(admin, "/users/2/access", htmx=False, role="agent")
    assert '<td data-label="Accounts">None</td>' in admin.get("/users").text


def test_the_last_admin_stays_an_admin(admin: FlaskClient) -> None:
    assert click(admin, "/users/1/disable", htmx=False).status_code == 409
    assert click(admin, "/users/1/access", htmx=False, role="ops", every="1").status_code == 409
    assert users.by_email(OPERATOR, "admin@example.com").role is Role.ADMIN


def test_an_admin_cannot_disable_themselves(admin: FlaskClient, app: Flask) -> None:
    second = signed_in(app, Role.ADMIN, email=NADIA)
    assert "/users/2/disable" not in second.get("/users/2").text
    assert "/users/1/disable" in second.get("/users/1").text
    assert click(second, "/users/2/disable", htmx=False).status_code == 409
    assert second.get("/inbox").status_code == 200


def test_a_change_of_role_shows_its_result(admin: FlaskClient, app: Flask) -> None:
    signed_in(app, Role.OPS, email=NADIA)
    click(admin, "/users/2/access", htmx=False, role="agent", every="1")
    assert f"Updated the role and account access of {NADIA} and signed them out." in admin.get("/users/2").text


def test_somebody_unknown_is_not_found(admin: FlaskClient) -> None:
    assert admin.get("/users/99").status_code == 404
    assert click(admin, "/users/99/disable", htmx=False).status_code == 404


def test_others_have_no_link_to_people(app: Flask) -> None:
    assert 'href="/users"' not in signed_in(app).get("/inbox").text
