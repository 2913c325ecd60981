"""Single sign-on against a provider over HTTP: who is signed in, and attempts that are refused."""

import secrets
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
from app.audit import AuditFilter
from app.factory import create_app
from app.models.audit import Action
from app.users import users
from app.viewer import OPERATOR, Role
from app.web import oidc
from tests.support import databases, provider
from tests.support.provider import Provider
from tests.support.web_client import WebClient
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
    with settings.using(**chosen), databases.app_context_of(create_app()) as app:
        app.test_client_class = WebClient
        users.add_user(OPERATOR, NADIA, role=Role.AGENT, password=PASSWORD)
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
    begins = oidc.REFUSED.format("")
    return answer.status_code == 401 and begins in answer.text and browser.get("/inbox").status_code == 303


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Return step and claim of each refused sign-in in the log."""
    found = [vars(record) for record in caplog.records if record.message == "single sign-on refused"]
    return [(each["step"], each["claim"]) for each in found]


def test_who_is_known_gets_a_new_session_and_is_noted(browser: FlaskClient, there: Provider) -> None:
    assert 'href="/login/oidc?next=%2Fjobs"' in browser.get("/login?next=/jobs").text
    with browser.session_transaction() as before:
        before["planted"] = "by somebody else"
    there.claims["email"] = NADIA.upper()
    answer = browser.get(there.agree(begun(browser, "?next=/jobs")))
    assert (answer.status_code, answer.location) == (303, "/jobs")
    assert browser.get("/inbox").status_code == 200
    with browser.session_transaction() as after:
        assert "planted" not in after
        assert not [name for name in after if "oidc" in name]
    entries, _ = audit.page(OPERATOR, AuditFilter(action=Action.SIGNED_IN))
    assert [entry.address for entry in entries] == ["127.0.0.1"]


def test_nobody_is_led_to_another_site_afterwards(browser: FlaskClient, there: Provider) -> None:
    assert browser.get(there.agree(begun(browser, "?next=//evil.example"))).location == "/inbox"


@pytest.mark.parametrize(
    ("claims", "step", "claim"),
    [
        ({"nonce": "another"}, "claim", "nonce"),
        ({"iss": "https://evil.example"}, "claim", "iss"),
        ({"iss": None}, "claim", "iss"),
        ({"aud": "another"}, "claim", "aud"),
        ({"exp": 1}, "claim", "exp"),
        ({"email_verified": False}, "claim", "email_verified"),
        ({"email_verified": "false"}, "claim", "email_verified"),
        ({"email_verified": ["true"]}, "claim", "email_verified"),
        ({"email_verified": None}, "claim", "email_verified"),
        ({"email_verified": None, "xms_edov": False}, "claim", "xms_edov"),
        ({"email_verified": False, "xms_edov": True}, "claim", "email_verified"),
        ({"email": None}, "claim", "email"),
        ({"email": ["nadia@example.com"]}, "claim", "email"),
        ({"email": "nobody@example.com"}, "user", None),
    ],
    ids=str,
)
def test_a_refused_sign_in_shows_and_logs_the_claim_that_failed(
    browser: FlaskClient,
    there: Provider,
    caplog: pytest.LogCaptureFixture,
    claims: dict[str, object],
    step: str,
    claim: str | None,
) -> None:
    there.claims |= claims
    answer = tried(browser, there)
    assert refused(browser, answer)
    assert logged(caplog) == [(step, claim)]
    assert f"“{claim}”" in answer.text or claim is None
    assert NADIA not in caplog.text
    [entry], _ = audit.page(OPERATOR, AuditFilter(action=Action.SIGN_IN_FAILED))
    assert (entry.route, entry.address) == ("GET /login/oidc/back", "127.0.0.1")
    assert entry.subject == (f"claim {claim}" if claim else None)


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": "true"},
        {"email_verified": "True"},
        {"email_verified": 1},
        {"email_verified": None, "xms_edov": True},
        {"email_verified": None, "xms_edov": "1"},
    ],
    ids=str,
)
def test_each_spelling_of_a_verified_email_address_signs_in(
    browser: FlaskClient, there: Provider, claims: dict[str, object]
) -> None:
    there.claims |= claims
    assert tried(browser, there).status_code == 303


def test_a_missing_verification_is_accepted_where_the_settings_trust_the_provider(
    browser: FlaskClient, there: Provider
) -> None:
    with settings.using(oidc_trust_email=True):
        there.claims["email_verified"] = False
        assert refused(browser, tried(browser, there))
        there.claims["email_verified"] = None
        assert tried(browser, there).status_code == 303


def test_a_claim_of_a_namespace_can_verify_the_email_address(browser: FlaskClient, there: Provider) -> None:
    verified = "https://shop.example/email_verified"
    there.claims |= {"email_verified": None, verified: True}
    with settings.using(oidc_verified_claims=(verified,)):
        assert tried(browser, there).status_code == 303


def test_an_email_address_with_a_kelvin_sign_is_not_the_one_with_a_k(browser: FlaskClient, there: Provider) -> None:
    users.add_user(OPERATOR, "kim@example.com", role=Role.ADMIN, password=PASSWORD)
    there.claims["email"] = "\u212aim@example.com"
    assert refused(browser, tried(browser, there))


@pytest.mark.parametrize("setting", ["{}", "{}/"])
@pytest.mark.parametrize("claim", ["{}", "{}/"])
def test_an_issuer_may_end_with_a_slash(browser: FlaskClient, there: Provider, setting: str, claim: str) -> None:
    there.claims["iss"] = claim.format(there.issuer)
    with settings.using(oidc_issuer=setting.format(there.issuer)):
        assert tried(browser, there).status_code == 303


@pytest.mark.parametrize("kept", [(), ("email",), ("email_verified",)], ids=str)
def test_claims_of_the_userinfo_endpoint_sign_in(browser: FlaskClient, there: Provider, kept: tuple[str, ...]) -> None:
    whole = {"email": NADIA, "email_verified": True}
    there.claims |= {name: value if name in kept else None for name, value in whole.items()}
    there.userinfo = {"sub": "1"} | {name: value for name, value in whole.items() if name not in kept}
    assert tried(browser, there).status_code == 303


@pytest.mark.parametrize(
    ("userinfo", "step", "claim"),
    [
        ({"sub": "2", "email": NADIA, "email_verified": True}, "claim", "sub"),
        ({"email": NADIA, "email_verified": True}, "claim", "sub"),
        ({"sub": "1", "email": NADIA}, "claim", "email_verified"),
        ({"sub": "1", "email": NADIA, "email_verified": False}, "claim", "email_verified"),
        ({}, "userinfo", None),  # the stub refuses
    ],
    ids=str,
)
def test_userinfo_of_another_subject_or_without_verification_signs_nobody_in(
    browser: FlaskClient,
    there: Provider,
    caplog: pytest.LogCaptureFixture,
    userinfo: dict[str, object],
    step: str,
    claim: str | None,
) -> None:
    there.claims |= {"email": None, "email_verified": None}
    there.userinfo = userinfo
    assert refused(browser, tried(browser, there))
    assert logged(caplog) == [(step, claim)]


def test_a_refusal_of_the_provider_is_logged_with_its_code_alone(
    browser: FlaskClient, there: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    back = there.agree(begun(browser)).replace("code=", "error=access_denied&error_description=nadia&code=")
    assert refused(browser, browser.get(back))
    assert logged(caplog) == [("authorization", None)]
    assert vars(caplog.records[-1])["code"] == "access_denied"
    assert "nadia" not in str([vars(record) for record in caplog.records if record.name == oidc.__name__])


def test_two_tabs_at_the_provider_both_come_back(here: Flask, there: Provider) -> None:
    for order in (("/jobs", "/insights"), ("/insights", "/jobs")):
        browser = here.test_client()
        backs = {wanted: there.agree(begun(browser, f"?next={wanted}")) for wanted in ("/jobs", "/insights")}
        first, second = (browser.get(backs[wanted]) for wanted in order)
        assert (first.status_code, first.location) == (303, order[0])
        assert (second.status_code, second.location) == (303, "/inbox")  # signed in by the first one
        assert browser.get("/inbox").status_code == 200


def test_a_failed_tab_leaves_the_attempt_of_another_tab(browser: FlaskClient, there: Provider) -> None:
    back = there.agree(begun(browser))
    there.claims["email_verified"] = False
    assert refused(browser, tried(browser, there))
    there.claims["email_verified"] = True
    assert browser.get(back).status_code == 303


@pytest.mark.parametrize("address", ["/login/oidc?next=/jobs", "/login/oidc/back?code=x&state=x"])
def test_a_link_to_single_sign_on_never_signs_out(browser: FlaskClient, there: Provider, address: str) -> None:
    assert tried(browser, there).status_code == 303
    assert browser.get(address).status_code == 303
    assert browser.get("/inbox").status_code == 200


def test_attempts_that_pile_up_fit_into_a_cookie_and_the_newest_works(browser: FlaskClient, there: Provider) -> None:
    for _ in range(5):
        back = there.agree(begun(browser, f"?next=/inbox%3Fq={secrets.token_hex(950)}"))
        cookie = browser.get_cookie("nametag")
        assert cookie is not None
        assert len(cookie.value) < 4000
    assert browser.get(back).location.startswith("/inbox?q=")


def test_a_token_that_another_key_signed_signs_nobody_in(browser: FlaskClient, there: Provider) -> None:
    there.key = RSAKey.generate_key(2048, {"kid": "first"})
    assert refused(browser, tried(browser, there))


def test_who_is_disabled_stays_outside_and_the_try_is_noted(browser: FlaskClient, there: Provider) -> None:
    users.disable(OPERATOR, NADIA)
    assert refused(browser, tried(browser, there))
    entries, _ = audit.page(OPERATOR, AuditFilter(action=Action.SIGN_IN_FAILED))
    assert [entry.subject for entry in entries] == ["user 1"]


def test_an_answer_is_good_for_the_browser_that_asked_and_once(
    here: Flask, browser: FlaskClient, there: Provider
) -> None:
    back = there.agree(begun(browser))
    stranger = here.test_client()
    assert refused(stranger, stranger.get(back))
    assert refused(browser, browser.get(back.replace("state=", "state=x")))
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
    monkeypatch.setattr(oidc, "MAX_ATTEMPTS", 1)
    assert [browser.get("/login/oidc").status_code for _ in range(2)] == [303, 429]
