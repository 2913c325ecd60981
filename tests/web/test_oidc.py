"""Single sign-on, against a provider over real HTTP: who gets in, and what does not work twice or from elsewhere."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from redis import Redis
from werkzeug.test import TestResponse

from app import audit, settings
from app.audit import Wanted
from app.factory import create_app
from app.models.user import Action
from app.users import people
from app.viewer import OPERATOR, Role
from app.web import oidc
from tests.bed import databases, provider
from tests.bed.browser import Browser
from tests.bed.provider import Provider
from tests.web.browsing import PASSWORD

NADIA = "nadia@example.com"


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider.serving() as serving:
        serving.claims["email"] = NADIA
        yield serving


@pytest.fixture
def here(there: Provider, sqlite_database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    chosen: dict[str, Any] = {"database_url": sqlite_database, "nametag_data_dir": tmp_path}
    chosen |= {"oidc_issuer": there.issuer, "oidc_client_id": "nametag", "oidc_client_secret": "a secret"}
    with settings.using(**chosen), databases.opened(create_app()) as app:
        app.test_client_class = Browser
        people.add(OPERATOR, NADIA, role=Role.AGENT, password=PASSWORD)
        yield app


@pytest.fixture
def browser(here: Flask) -> FlaskClient:
    return here.test_client()


def begun(browser: FlaskClient, query: str = "") -> str:
    answer = browser.get(f"/login/oidc{query}")
    assert answer.status_code == 303, answer.text
    return answer.location


def tried(browser: FlaskClient, there: Provider) -> TestResponse:
    return browser.get(there.agree(begun(browser)))


def refused(browser: FlaskClient, answer: TestResponse) -> bool:
    return answer.status_code == 401 and oidc.REFUSED in answer.text and browser.get("/inbox").status_code == 303


def test_who_is_known_gets_a_new_session_and_is_noted(browser: FlaskClient, there: Provider) -> None:
    assert 'href="/login/oidc?next=/jobs"' in browser.get("/login?next=/jobs").text
    with browser.session_transaction() as before:
        before["planted"] = "by somebody else"
    there.claims["email"] = NADIA.upper()
    answer = browser.get(there.agree(begun(browser, "?next=/jobs")))
    assert (answer.status_code, answer.location) == (303, "/jobs")
    assert browser.get("/inbox").status_code == 200
    with browser.session_transaction() as after:
        assert "planted" not in after
        assert not [name for name in after if "oidc" in name]
    entries, _ = audit.page(OPERATOR, Wanted(action=Action.SIGNED_IN))
    assert [entry.address for entry in entries] == ["127.0.0.1"]


def test_nobody_is_led_to_another_site_afterwards(browser: FlaskClient, there: Provider) -> None:
    assert browser.get(there.agree(begun(browser, "?next=//evil.example"))).location == "/inbox"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"exp": 1},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": "nobody@example.com"},
        {"email": None},
    ],
    ids=str,
)
def test_what_is_not_told_of_a_known_person_signs_nobody_in(
    browser: FlaskClient, there: Provider, claims: dict[str, object]
) -> None:
    there.claims |= claims
    assert refused(browser, tried(browser, there))


def test_a_token_that_another_key_signed_signs_nobody_in(browser: FlaskClient, there: Provider) -> None:
    there.key = RSAKey.generate_key(2048, {"kid": "first"})
    assert refused(browser, tried(browser, there))


def test_who_is_disabled_stays_outside_and_the_try_is_noted(browser: FlaskClient, there: Provider) -> None:
    people.disable(OPERATOR, NADIA)
    assert refused(browser, tried(browser, there))
    entries, _ = audit.page(OPERATOR, Wanted(action=Action.SIGN_IN_FAILED))
    assert [entry.subject for entry in entries] == ["user 1"]


def test_an_answer_is_good_for_the_browser_that_asked_and_once(
    here: Flask, browser: FlaskClient, there: Provider
) -> None:
    back = there.agree(begun(browser))
    stranger = here.test_client()
    assert refused(stranger, stranger.get(back))
    assert refused(browser, browser.get(back.replace("state=", "state=x")))
    assert refused(browser, browser.get(back))  # the wrong one has ended the attempt
    back = there.agree(begun(browser))
    again = here.test_client()
    with browser.session_transaction() as asked, again.session_transaction() as copied:
        copied.update(asked)
    assert browser.get(back).status_code == 303
    assert refused(again, again.get(back))


def test_a_code_is_worth_nothing_without_the_verifier(here: Flask, browser: FlaskClient, there: Provider) -> None:
    stolen = there.agree(begun(browser)).partition("code=")[2].partition("&")[0]
    thief = here.test_client()
    own = there.agree(begun(thief))
    mine = own.partition("code=")[2].partition("&")[0]
    assert refused(thief, thief.get(own.replace(mine, stolen)))


def test_a_provider_that_is_away_is_said_in_a_sentence(here: Flask, browser: FlaskClient) -> None:
    here.extensions[oidc.NAME]._server_metadata_url = "http://127.0.0.1:9/"
    assert refused(browser, browser.get("/login/oidc"))


def test_a_provider_that_drips_is_given_up_in_time(
    browser: FlaskClient, there: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "SECONDS", 0.3)
    there.drips.set()
    began = time.monotonic()
    assert refused(browser, browser.get("/login/oidc"))
    assert time.monotonic() - began < 2
    there.drips.clear()


def test_a_provider_that_has_moved_is_not_followed(browser: FlaskClient, there: Provider) -> None:
    with provider.serving() as elsewhere:
        there.moved_to = elsewhere.issuer
        assert refused(browser, browser.get("/login/oidc"))


def test_who_tries_too_often_waits(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "TRIES", 1)
    assert [browser.get("/login/oidc").status_code for _ in range(2)] == [303, 429]
