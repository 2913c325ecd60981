"""The Alert receivers page, and `nametag alert receivers`."""

import json
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import settings
from app.alerts import deliveries, receivers
from app.db.engine import db
from app.viewer import OPERATOR, Role
from tests.cli.commands import nametag, refused
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.support.alert_sinks import HttpSink, http_sink
from tests.web.browsing import click, csrf, signed_in

ALL = {"every": "1", "event": "alert.opened", "zone": "Europe/Paris"}


@pytest.fixture
def sink(app: Flask) -> Iterator[HttpSink]:
    with http_sink() as found, settings.using(alert_private_addresses=True):
        yield found


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    an_account()
    return signed_in(app, Role.ADMIN)


def post(admin: FlaskClient, fields: dict[str, str]) -> TestResponse:
    return admin.post("/alerts/receivers", data=fields | {"csrf_token": csrf(admin.get("/inbox"))})


def add(admin: FlaskClient, address: str, **fields: str) -> str:
    return post(admin, ALL | {"address": address} | fields).text


def test_a_receiver_is_added_tested_and_removed_and_its_secret_is_shown_once(
    admin: FlaskClient, sink: HttpSink
) -> None:
    assert "No alert receivers" in admin.get("/alerts/receivers").text
    page = add(admin, sink.url, quiet="22-7")
    [secret] = re.findall(r"<code>(whsec_[^<]+)</code>", page)
    assert f'data-copy="{secret}"' in page
    assert f'value="{sink.url}"' not in page  # the form is empty again
    page = admin.get("/alerts/receivers").text
    assert secret not in page
    assert "Alert opened" in page
    assert "quiet 22:00 to 07:00, Europe/Paris" in page
    answer = click(admin, "/alerts/receivers/1/test", htmx=False)
    assert answer.status_code == 303
    assert "Test queued" in admin.get(answer.location).text
    db.session.rollback()
    deliveries.send_due()
    assert len(sink.requests) == 1
    assert ">Delivered</span>" in admin.get("/alerts/receivers").text
    assert ">Queued</span>" in click(admin, "/alerts/receivers/1/test").text
    assert click(admin, "/alerts/receivers/1/enable", htmx=False).status_code == 409
    assert click(admin, "/alerts/receivers/1/remove", htmx=False).status_code == 303
    assert sink.url not in admin.get("/alerts/receivers").text
    assert click(admin, "/alerts/receivers/1/remove", htmx=False).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "tea"}, "Enter a URL that begins with https://, or an email address."),
        ({"event": "tea"}, "Choose at least one event"),
        ({"quiet": "tea"}, "Quiet hours must be two different times"),
        ({"quiet": "22-7", "zone": "../tea"}, "The time zone must be a name such as Europe/Paris."),
        ({"every": "", "account": "1"}, "Select all accounts, or at least one from the list."),
    ],
)
def test_wrong_input_is_explained_at_its_field(admin: FlaskClient, fields: dict[str, str], said: str) -> None:
    sent = ALL | {"address": "https://example.com/alerts"} | fields
    if not sent["every"]:
        del sent["every"]
    answer = post(admin, sent)
    assert answer.status_code == 422
    assert said in answer.text
    assert receivers.list_receivers(OPERATOR) == []


def test_the_audit_log_names_the_receiver_and_not_its_address(admin: FlaskClient) -> None:
    add(admin, "https://example.com/alerts")
    page = admin.get("/audit").text
    assert "Added an alert receiver" in page
    assert "example.com/alerts" not in page


@pytest.mark.usefixtures("sink")
def test_the_command_adds_lists_tests_and_removes(app: Flask) -> None:
    an_account(ATELIER_NORD)
    options = ("--account-id", ATELIER_NORD, "--events", "alert.opened,job.finished", "--quiet", "22:00-07:00")
    lines = nametag("alert", "receivers", "add", "https://example.com/a", *options).stdout.splitlines()
    assert lines[0] == "Added alert receiver 1."
    assert lines[1].startswith("whsec_")
    [found] = json.loads(nametag("alert", "receivers", "list", "--json").stdout)
    assert (found["accountIds"], found["events"]) == ([ATELIER_NORD], ["alert.opened", "job.finished"])
    assert found["quietHours"] == "22:00 to 07:00, UTC"
    assert "whsec_" not in json.dumps(found)
    assert "22:00 to 07:00, UTC" in nametag("alert", "receivers", "list").stdout
    assert nametag("alert", "receivers", "test", "1").stdout == "Queued a test for alert receiver 1.\n"
    assert nametag("alert", "receivers", "remove", "1").stdout == "Removed alert receiver 1.\n"
    assert refused(nametag("alert", "receivers", "remove", "1"), status=1) == "Error: No such alert receiver."
    wrong = nametag("alert", "receivers", "add", "https://example.com/a", "--account-id", MAISON_LUNE)
    assert refused(wrong, status=2) == "Error: No such account."
