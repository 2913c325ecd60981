"""Sign in, stay signed in, sign out; requests from other sites are refused."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock, settings
from app.api import auth
from app.factory import create_app
from app.users import users
from app.viewer import OPERATOR, Role
from app.web import session
from tests.web.browsing import HTMX, PASSWORD, click, csrf, part, sign_in, signed_in

NADIA = "nadia@example.com"


@pytest.fixture
def nadia(app: Flask) -> FlaskClient:
    users.add_user(OPERATOR, NADIA, role=Role.AGENT, password=PASSWORD)
    return app.test_client()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> "Later":
    return Later(monkeypatch)


class Later:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._now = clock.now
        self._passed = timedelta()

    def __call__(self, **passed: float) -> None:
        self._passed += timedelta(**passed)
        self._monkeypatch.setattr(clock, "now", self._moved)

    def _moved(self) -> datetime:
        return self._now() + self._passed


def test_strangers_are_led_to_the_sign_in_page_and_back(nadia: FlaskClient) -> None:
    answer = nadia.get("/inbox?filter=unread")
    assert (answer.status_code, answer.location) == (303, "/login?next=/inbox%3Ffilter%3Dunread")
    answer = sign_in(nadia, NADIA, query="?next=/inbox%3Ffilter%3Dunread")
    assert (answer.status_code, answer.location) == (303, "/inbox?filter=unread")
    assert nadia.get("/inbox").status_code == 200


def test_an_htmx_request_without_a_session_leads_the_page_to_the_sign_in(nadia: FlaskClient) -> None:
    answer = part(nadia, "/inbox/list", HX_Current_URL="http://localhost/inbox/7?before=1,2")
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/inbox/7%3Fbefore%3D1%2C2"
    assert answer.text == ""


def test_a_session_that_ended_says_so_on_the_sign_in_page_and_leads_back(nadia: FlaskClient, later: Later) -> None:
    sign_in(nadia, NADIA)
    later(hours=13)
    answer = nadia.get("/jobs?account=1")
    assert answer.location == "/login?next=/jobs%3Faccount%3D1"
    assert session.ENDED in nadia.get(answer.location).text
    assert session.ENDED in nadia.get("/login").text
    assert session.ENDED not in sign_in(nadia, NADIA, "not the password").text
    assert sign_in(nadia, NADIA, query="?next=/jobs%3Faccount%3D1").location == "/jobs?account=1"
    click(nadia, "/logout", htmx=False)
    assert session.ENDED not in nadia.get("/login").text


def test_a_poll_of_a_session_that_ended_leads_to_the_sign_in_page_that_says_so(nadia: FlaskClient) -> None:
    sign_in(nadia, NADIA)
    users.disable(OPERATOR, NADIA)
    answer = part(nadia, "/inbox/list", HX_Current_URL="http://localhost/inbox/7?filter=unread")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login?next=/inbox/7%3Ffilter%3Dunread")
    assert session.ENDED in nadia.get("/login").text
    other_tab = part(nadia, "/jobs/live", HX_Current_URL="http://localhost/jobs")
    assert other_tab.headers["HX-Redirect"] == "/login?next=/jobs"
    assert session.ENDED in nadia.get("/login").text


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(nadia: FlaskClient) -> None:
    sign_in(nadia, NADIA)
    users.change_password(OPERATOR, NADIA, password=PASSWORD + "!")
    answer = nadia.post("/settings/zone", headers={"Referer": "http://localhost/settings?a=b"})
    assert answer.location == "/login?next=/settings%3Fa%3Db"
    assert session.ENDED in nadia.get(answer.location).text


def test_a_first_visit_shows_no_ended_session(nadia: FlaskClient) -> None:
    assert session.ENDED not in nadia.get("/jobs", follow_redirects=True).text


def test_every_address_but_the_open_ones_asks_for_a_sign_in(app: Flask, nadia: FlaskClient) -> None:
    asked = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint in session.PUBLIC_ENDPOINTS | auth.PUBLIC_ENDPOINTS or rule.endpoint.endswith("static"):
            continue
        action = {"alert_receivers.change": "test", "alerts.mute": "mute"}.get(rule.endpoint, "run")
        values = dict.fromkeys(rule.arguments, 1) | {"kind": "backfill", "action": action}
        address = rule.build(values, append_unknown=False)
        for method in (rule.methods or set()) & {"GET", "POST"}:
            answer = nadia.open(address[1] if address else str(rule), method=method)
            refused = (401,) if rule.endpoint.startswith("api.") else (303, 404)
            assert answer.status_code in refused, (rule.endpoint, answer.status_code)
            asked += answer.status_code == 303
    assert asked > 20


@pytest.mark.parametrize(
    ("email", "password"), [(NADIA, "not the password"), ("nobody@example.com", PASSWORD), ("", "")]
)
def test_a_wrong_name_and_a_wrong_password_read_the_same(nadia: FlaskClient, email: str, password: str) -> None:
    answer = sign_in(nadia, email, password)
    assert answer.status_code == 401
    assert session.WRONG in answer.text
    assert nadia.get("/inbox").status_code == 303


@pytest.mark.parametrize("password", ["admin", "password", "123456", "nametag", "letmein"])
def test_nobody_signs_in_with_a_usual_pair(nadia: FlaskClient, password: str) -> None:
    users.first_admin()
    assert sign_in(nadia, "admin", password).status_code == 401
    assert sign_in(nadia, "admin@nametag.local", password).status_code == 401


def test_the_sixth_failure_is_429_with_the_time_to_wait(nadia: FlaskClient) -> None:
    for _ in range(5):
        assert sign_in(nadia, NADIA, "not the password").status_code == 401
    tries = (sign_in(nadia, NADIA, "not the password") for _ in range(5))  # on a slow machine the first wait may pass
    answer = next(answer for answer in tries if answer.status_code != 401)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    elsewhere = sign_in(nadia, NADIA, PASSWORD, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 303


def test_an_endless_password_is_422(nadia: FlaskClient) -> None:
    assert sign_in(nadia, NADIA, "x" * 1_000_000).status_code == 422


def test_the_form_needs_its_token(nadia: FlaskClient) -> None:
    nadia.get("/login")
    form = {"email": NADIA, "password": PASSWORD}
    assert nadia.post("/login", data=form).status_code == 400
    stranger = nadia.application.test_client()
    assert nadia.post("/login", data=form | {"csrf_token": csrf(stranger.get("/login"))}).status_code == 400


def test_the_session_is_a_new_one_after_signing_in(nadia: FlaskClient) -> None:
    nadia.get("/login")
    before = nadia.get_cookie("nametag")
    assert before is not None
    sign_in(nadia, NADIA)
    stranger = nadia.application.test_client()
    stranger.set_cookie("nametag", before.value)
    assert stranger.get("/inbox").status_code == 303


def test_a_copied_cookie_is_worth_nothing_after_signing_out(nadia: FlaskClient) -> None:
    sign_in(nadia, NADIA)
    copied = nadia.get_cookie("nametag")
    assert copied is not None
    answer = click(nadia, "/logout", htmx=False)
    assert answer.location == "/login"
    assert nadia.get("/inbox").status_code == 303
    thief = nadia.application.test_client()
    thief.set_cookie("nametag", copied.value)
    assert thief.get("/inbox").status_code == 303


def test_signing_out_ends_this_session_only(nadia: FlaskClient) -> None:
    phone = nadia.application.test_client()
    for browser in (nadia, phone):
        sign_in(browser, NADIA)
    answer = click(nadia, "/logout", htmx=False)
    assert "Clear-Site-Data" not in answer.headers
    assert [cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")] == ["nametag"]
    assert nadia.get("/inbox").status_code == 303
    assert phone.get("/inbox").status_code == 200


def test_signing_out_of_all_devices_ends_every_session(nadia: FlaskClient) -> None:
    phone = nadia.application.test_client()
    for browser in (nadia, phone):
        sign_in(browser, NADIA)
    assert 'formaction="/logout/all"' in nadia.get("/settings").text
    assert 'action="/logout/all"' in nadia.get("/inbox").text
    assert click(nadia, "/logout/all", htmx=False).location == "/login"
    assert nadia.get("/inbox").status_code == 303
    assert phone.get("/inbox").status_code == 303


def test_a_cookie_without_a_session_id_signs_nobody_in(nadia: FlaskClient) -> None:
    sign_in(nadia, NADIA)
    with nadia.session_transaction() as cookie:
        del cookie["id"]
    assert nadia.get("/inbox").status_code == 303


def test_a_new_password_and_a_switch_off_end_the_session(nadia: FlaskClient) -> None:
    sign_in(nadia, NADIA)
    users.change_password(OPERATOR, NADIA, password=PASSWORD + "!")
    assert nadia.get("/inbox").status_code == 303
    sign_in(nadia, NADIA, PASSWORD + "!")
    assert nadia.get("/inbox").status_code == 200
    users.disable(OPERATOR, NADIA)
    assert nadia.get("/inbox").status_code == 303


def test_twelve_idle_hours_end_a_session(nadia: FlaskClient, later: Later) -> None:
    sign_in(nadia, NADIA)
    later(hours=11)
    assert nadia.get("/inbox").status_code == 200
    later(hours=11)
    assert nadia.get("/inbox").status_code == 200
    later(hours=12, minutes=6)
    assert nadia.get("/inbox").status_code == 303


def test_polls_do_not_keep_a_session_alive(nadia: FlaskClient, later: Later) -> None:
    sign_in(nadia, NADIA)
    for _ in range(3):
        later(hours=3)
        assert part(nadia, "/inbox/list").status_code == 200
        assert part(nadia, "/jobs/live").status_code == 200
    later(hours=3, minutes=6)
    assert part(nadia, "/inbox/list").status_code == 401


def test_after_seven_days_even_a_busy_session_ends(nadia: FlaskClient, later: Later) -> None:
    sign_in(nadia, NADIA)
    for _ in range(16):
        later(hours=10)
        assert nadia.get("/inbox").status_code == 200
    later(hours=10)
    assert nadia.get("/inbox").status_code == 303


def test_what_polls_on_its_own_is_known_by_name(app: Flask) -> None:
    assert set(app.view_functions) >= session.POLLED_ENDPOINTS | session.PUBLIC_ENDPOINTS


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "///evil.example"),
        *("javascript:alert(1)", "%2f%2fevil.example", "/%2fevil.example", "/inbox\r\nSet-Cookie: a=b", "/%0d%0aX: y"),
        *("/" + "a" * 4000, "", "inbox", "/login", "/login?next=/login"),
    ],
)
def test_only_paths_of_ours_are_followed_after_signing_in(nadia: FlaskClient, target: str) -> None:
    token = csrf(nadia.get("/login"))
    form = {"email": NADIA, "password": PASSWORD, "csrf_token": token}
    answer = nadia.post("/login", query_string={"next": target}, data=form)
    assert (answer.status_code, answer.location) == (303, "/inbox")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/localhost"},
        {"Origin": "http://["},
        {"Referer": "http://[::1"},
    ],
)
def test_other_sites_change_nothing_even_with_the_token(app: Flask, headers: dict[str, str]) -> None:
    client = signed_in(app)
    token = csrf(client.get("/inbox"))
    answer = client.post("/jobs/backfill", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/inbox").status_code == 200


def test_a_current_url_that_cannot_be_parsed_leads_to_the_plain_sign_in_page(nadia: FlaskClient) -> None:
    answer = part(nadia, "/inbox/list", HX_Current_URL="http://[")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


@pytest.mark.parametrize(
    "address", ["/deletion/%00", "/jobs/%00/cancel", "/audit?actor=a%00", "/users?%00", "/login?next=/%00"]
)
def test_a_nul_character_in_a_url_is_400(app: Flask, address: str) -> None:
    admin = signed_in(app, Role.ADMIN)
    answer = click(admin, address, htmx=False) if "cancel" in address else admin.get(address)
    assert answer.status_code == 400
    assert "NUL character" in answer.text


def test_a_nul_character_in_a_form_is_400_and_changes_nothing(app: Flask) -> None:
    admin = signed_in(app, Role.ADMIN)
    answer = click(admin, "/users", htmx=False, email="new@example.com\x00", role="agent")
    assert answer.status_code == 400
    assert [user.email for user in users.list_users(OPERATOR)] == ["admin@example.com"]


def test_our_own_pages_are_not_other_sites(app: Flask) -> None:
    client = signed_in(app)
    token = csrf(client.get("/inbox"))
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}):
        answer = client.post("/settings/theme", data={"csrf_token": token, "theme": "dark"}, headers=headers)
        assert answer.status_code == 303


def test_the_theme_is_kept_in_a_cookie_and_leads_back(app: Flask) -> None:
    client = signed_in(app)
    token = csrf(client.get("/inbox"))
    referer = {"Referer": "http://localhost/jobs?account=1"}
    answer = client.post("/settings/theme", data={"csrf_token": token, "theme": "dark"}, headers=referer)
    assert answer.location == "/jobs?account=1"
    assert 'data-theme="dark"' in client.get("/inbox").text
    assert client.post("/settings/theme", data={"csrf_token": token, "theme": "pink"}).status_code == 422


def test_cookies_are_guarded_in_production(sqlite_database: str, redis_server: str) -> None:
    chosen = {"nametag_env": "production", "database_url": sqlite_database, "redis_url": redis_server}
    with settings.using(**chosen):
        answer = create_app().test_client().get("/login")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-nametag=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_an_unknown_address_is_404_for_strangers_too(nadia: FlaskClient) -> None:
    assert nadia.get("/nothing/here").status_code == 404
    assert part(nadia, "/nothing/here").status_code == 404
    assert nadia.get("/healthz").status_code == 200
    assert HTMX
