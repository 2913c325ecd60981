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
from tests.factories import MAISON_LUNE, an_account
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import PASSWORD, click, part, poll_headers, sign_in, signed_in


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
