"""The Alerts page, its endpoints and `nametag alert`."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db.engine import db
from app.models.account import AccountState
from app.users import users
from app.viewer import OPERATOR, Role
from tests.alerts.test_lifecycle import beat, break_token, check
from tests.api.clients import an_api_client, problem
from tests.cli.commands import nametag, refused
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import PASSWORD, click, csrf, part, poll_headers, sign_in, signed_in
from tests.web.test_conditional import recorded


@pytest.fixture
def ops(app: Flask, frozen_clock: FrozenClock) -> FlaskClient:
    """Ops of an installation with one alert."""
    an_account()
    beat()
    break_token()
    check()
    return signed_in(app, email="nadia.kessler@example.com")


def count_in(page: str) -> str:
    found = re.search(r'id="rail-alerts"[^>]*>(\d*)', page)
    return found[1] if found else ""


@pytest.mark.parametrize("htmx", [True, False])
def test_an_alert_is_acknowledged_with_and_without_javascript(ops: FlaskClient, *, htmx: bool) -> None:
    page = ops.get("/alerts").text
    assert "Access token rejected" in page
    assert "maison.lune" in page
    assert count_in(page) == "1"
    answer = click(ops, "/alerts/1/acknowledge", htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    page = answer.text if htmx else ops.get(answer.location).text
    assert "acknowledged by Nadia K." in page
    assert "/acknowledge" not in page
    assert count_in(page) != "1"
    assert click(ops, "/alerts/1/acknowledge", htmx=htmx).status_code == 409
    assert click(ops, "/alerts/999/acknowledge", htmx=htmx).status_code == 404


def test_a_recovered_alert_is_listed_below(ops: FlaskClient) -> None:
    assert "No open alerts" not in ops.get("/alerts").text
    break_token(state=AccountState.CONNECTED)
    check()
    page = part(ops, "/alerts").text
    assert "No open alerts" in page
    assert "Recovered" in page


def test_the_list_of_conversations_changes_when_an_alert_opens(ops: FlaskClient) -> None:
    page = ops.get("/inbox").text
    headers = poll_headers(page, "conv-list")
    assert ops.get("/inbox/list", headers=headers).status_code == 304
    db.session.rollback()
    break_token(state=AccountState.CONNECTED)
    check()
    answer = ops.get("/inbox/list", headers=headers)
    assert answer.status_code == 200
    assert count_in(answer.text) == ""


def test_agents_see_no_bell_and_limited_ops_no_alert_of_the_installation(app: Flask, ops: FlaskClient) -> None:
    assert "/alerts" not in signed_in(app, Role.AGENT).get("/inbox").text
    users.add_user(OPERATOR, "limited@example.com", role=Role.OPS, password=PASSWORD, account_ids=[])
    client = app.test_client()
    sign_in(client, "limited@example.com")
    page = client.get("/alerts").text
    assert "No open alerts" in page
    assert count_in(page) == ""


@pytest.mark.usefixtures("ops")
def test_api_and_command_list_and_acknowledge_the_same_alert(app: Flask) -> None:
    client = an_api_client(app)
    [alert] = client.get("/api/alerts?state=open").get_json()["data"]
    assert (alert["kind"], alert["accountId"], alert["state"]) == ("token_rejected", MAISON_LUNE, "open")
    assert json.loads(nametag("alert", "list", "--json").stdout) == [alert]
    assert client.get("/api/alerts?state=recovered").get_json() == {"data": []}
    assert problem(client.get("/api/alerts?state=tea"), 422)
    acknowledged = client.post(f"/api/alerts/{alert['id']}/acknowledge").get_json()
    assert acknowledged["acknowledgedBy"] == "token crm"
    problem(client.post(f"/api/alerts/{alert['id']}/acknowledge"), 409)
    problem(client.post("/api/alerts/9%20/acknowledge"), 404)
    problem(an_api_client(app, "read", name="reader").post(f"/api/alerts/{alert['id']}/acknowledge"), 403)
    assert "token crm" in nametag("alert", "list").stdout
    assert refused(nametag("alert", "acknowledge", alert["id"]), status=1).startswith("Error: token crm has")


@pytest.mark.usefixtures("ops")
def test_the_command_acknowledges(app: Flask) -> None:
    assert nametag("alert", "acknowledge", "1").stdout == "Acknowledged alert 1.\n"
    assert refused(nametag("alert", "acknowledge", "2"), status=1) == "Error: No such alert."


def bar(page: str) -> str:
    """Return the text of the bar above a page, empty without one."""
    found = re.search(r'<div class="alert-bar .*?</form>', page, re.DOTALL)
    return " ".join(re.sub("<[^>]+>", " ", found[0]).split()) if found else ""


def two_alerts() -> None:
    """Let Meta reject the access token of a second account, too."""
    an_account(ATELIER_NORD)
    break_token(ATELIER_NORD)
    check()


def test_a_bar_above_every_page_shows_the_newest_alert_and_how_many_more(ops: FlaskClient) -> None:
    two_alerts()
    page = ops.get("/jobs").text
    assert bar(page).startswith("Access token rejected · atelier.nord : ")
    assert "1 more on the Alerts page" in bar(page)
    assert 'href="/alerts#alert-2"' in page
    assert 'id="alert-2"' in ops.get("/alerts").text
    assert bar(ops.get("/insights").text)
    assert bar(part(ops, "/jobs/live").text)


def test_the_bar_repeats_nothing_that_the_page_shows_itself(ops: FlaskClient) -> None:
    assert bar(ops.get("/alerts").text) == ""
    page = ops.get(f"/inbox?account={MAISON_LUNE}").text
    assert "is disconnected." in page
    assert bar(page) == ""
    two_alerts()
    assert "atelier.nord" in bar(ops.get(f"/inbox?account={MAISON_LUNE}").text)
    assert "maison.lune" in bar(ops.get(f"/inbox?account={ATELIER_NORD}").text)


def test_agents_see_no_bar(app: Flask, ops: FlaskClient) -> None:
    assert bar(ops.get("/jobs").text)
    assert bar(signed_in(app, Role.AGENT).get("/jobs").text) == ""


def test_acknowledging_in_the_bar_shows_the_next_alert(ops: FlaskClient) -> None:
    two_alerts()
    page = ops.get("/jobs").text
    answer = ops.post(
        "/alerts/2/acknowledge",
        data={"csrf_token": csrf(ops.get("/jobs")), "section": "jobs"},
        headers={"HX-Request": "true"},
    )
    assert "Alert acknowledged." in answer.headers["HX-Trigger"]
    assert "maison.lune" in bar(answer.text)
    assert "more" not in bar(answer.text)
    assert "atelier.nord" in bar(page)


def test_acknowledging_in_the_bar_without_javascript_returns_to_the_page(ops: FlaskClient) -> None:
    sent = {"csrf_token": csrf(ops.get("/jobs")), "section": "jobs"}
    here = "http://localhost/jobs?job=0123456789ab"
    answer = ops.post("/alerts/1/acknowledge", data=sent, headers={"Referer": here})
    assert (answer.status_code, answer.location) == (303, "/jobs?job=0123456789ab")
    assert bar(ops.get("/jobs").text) == ""


def test_an_alert_of_another_account_reaches_the_pages_of_every_account(ops: FlaskClient) -> None:
    an_account(ATELIER_NORD)
    headers = poll_headers(ops.get(f"/inbox?account={MAISON_LUNE}").text, "conv-list")
    address = f"/inbox/list?account={MAISON_LUNE}"
    assert ops.get(address, headers=headers).status_code == 304
    break_token(ATELIER_NORD)
    check()
    answer = ops.get(address, headers=headers)
    assert answer.status_code == 200
    assert "atelier.nord" in bar(answer.text)


def test_an_unchanged_poll_reads_no_alert(ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with recorded() as (statements, _):
        assert ops.get("/inbox/list", headers=headers).status_code == 304
    assert statements
    assert not any("alerts" in each for each in statements)
