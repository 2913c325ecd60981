"""The Alert receivers pages, their endpoints, and `nametag alert receivers`."""

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
from tests.api.clients import an_api_client, problem
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
        ({"every": "", "account": "1"}, "Choose all accounts, or at least one that is connected."),
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
    assert (found["quietHours"], found["zone"]) == ("22:00-07:00", "UTC")
    assert "whsec_" not in json.dumps(found)
    assert "22:00 to 07:00, UTC" in nametag("alert", "receivers", "list").stdout
    assert nametag("alert", "receivers", "test", "1").stdout == "Queued a test for alert receiver 1.\n"
    assert nametag("alert", "receivers", "remove", "1").stdout == "Removed alert receiver 1.\n"
    assert refused(nametag("alert", "receivers", "remove", "1"), status=1) == "Error: No such alert receiver."
    wrong = nametag("alert", "receivers", "add", "https://example.com/a", "--account-id", MAISON_LUNE)
    assert refused(wrong, status=2) == "Error: No such account."


def test_a_receiver_is_changed_on_its_page_and_keeps_what_the_form_shows(admin: FlaskClient) -> None:
    add(admin, "https://example.com/alerts", quiet="22-7")
    page = admin.get("/alerts/receivers/1").text
    assert 'value="https://example.com/alerts"' in page
    assert 'value="22:00-07:00"' in page
    assert "<option selected>Europe/Paris</option>" in page
    chosen = {"address": "https://example.com/new", "event": "job.paused", "account": MAISON_LUNE, "quiet": ""}
    token = csrf(admin.get("/inbox"))
    answer = admin.post("/alerts/receivers/1", data=chosen | {"csrf_token": token})
    assert answer.status_code == 303
    page = admin.get(answer.location).text
    assert "Alert receiver changed." in page
    [found] = receivers.list_receivers(OPERATOR)
    assert (found.address, found.events, found.quiet) == ("https://example.com/new", ("job.paused",), None)
    assert found.ig_account_ids == (MAISON_LUNE,)
    wrong = admin.post("/alerts/receivers/1", data=chosen | {"address": "tea", "csrf_token": token})
    assert wrong.status_code == 422
    assert "Enter a URL that begins with https://, or an email address." in wrong.text
    assert 'value="tea"' in wrong.text
    assert admin.get("/alerts/receivers/2").status_code == 404


def test_the_command_changes_only_what_it_names(app: Flask) -> None:
    an_account()
    options = ("--account-id", MAISON_LUNE, "--quiet", "22-7", "--zone", "Europe/Paris")
    nametag("alert", "receivers", "add", "https://example.com/a", *options)
    changed = nametag("alert", "receivers", "change", "1", "--events", "alert.opened")
    assert changed.stdout == "Changed alert receiver 1.\n"
    [found] = json.loads(nametag("alert", "receivers", "list", "--json").stdout)
    assert (found["events"], found["accountIds"]) == (["alert.opened"], [MAISON_LUNE])
    nametag("alert", "receivers", "change", "1", "--all-accounts", "--zone", "Asia/Tokyo")
    [found] = json.loads(nametag("alert", "receivers", "list", "--json").stdout)
    assert (found["accountIds"], found["quietHours"], found["zone"]) == (None, "22:00-07:00", "Asia/Tokyo")
    nametag("alert", "receivers", "change", "1", "--quiet", "")
    assert json.loads(nametag("alert", "receivers", "list", "--json").stdout)[0]["quietHours"] is None
    email = nametag("alert", "receivers", "change", "1", "--address", "ops@example.com")
    assert "Error: " in refused(email, status=2)
    both = nametag("alert", "receivers", "change", "1", "--all-accounts", "--account-id", MAISON_LUNE)
    assert "Give either" in both.stderr


@pytest.mark.usefixtures("sink")
def test_the_api_adds_changes_tests_and_removes_and_shows_the_secret_once(app: Flask, sink: HttpSink) -> None:
    an_account()
    client = an_api_client(app, "admin")
    sent = {"address": sink.url, "accountIds": [MAISON_LUNE], "quietHours": "22-7", "zone": "Europe/Paris"}
    answer = client.post("/api/alert-receivers", json=sent)
    assert answer.status_code == 201
    added = answer.get_json()
    assert added.pop("secret").startswith("whsec_")
    assert (added["events"], added["accountIds"]) == (list(receivers.CHOICES), [MAISON_LUNE])
    assert (added["quietHours"], added["zone"]) == ("22:00-07:00", "Europe/Paris")
    assert client.get("/api/alert-receivers").get_json() == {"data": [added]}
    assert json.loads(nametag("alert", "receivers", "list", "--json").stdout) == [added]
    change = {"events": ["job.finished"], "accountIds": None}
    changed = client.call("PATCH", "/api/alert-receivers/1", json=change).get_json()
    assert changed == added | change
    assert client.call("PATCH", "/api/alert-receivers/1", json={"quietHours": None}).get_json()["quietHours"] is None
    assert client.post("/api/alert-receivers/1/test").status_code == 202
    db.session.rollback()
    deliveries.send_due()
    assert client.get("/api/alert-receivers").get_json()["data"][0]["lastState"] == "delivered"
    problem(client.post("/api/alert-receivers/1/enable"), 409)
    assert client.call("DELETE", "/api/alert-receivers/1").status_code == 204
    problem(client.call("DELETE", "/api/alert-receivers/1"), 404)
    problem(client.call("PATCH", "/api/alert-receivers/1", json={}), 404)


def test_the_api_explains_wrong_fields_and_refuses_other_tokens(app: Flask) -> None:
    account = an_account()
    client = an_api_client(app, "admin")
    for sent, field in (
        ({"address": "tea"}, "address"),
        ({"address": "https://example.com", "events": ["tea"]}, "events"),
        ({"address": "https://example.com", "accountIds": [ATELIER_NORD]}, "accountIds"),
        ({"address": "https://example.com", "quietHours": "7"}, "quietHours"),
        ({"address": "https://example.com", "quietHours": "22-7", "zone": "tea"}, "zone"),
        ({}, "address"),
    ):
        assert [each["field"] for each in problem(client.post("/api/alert-receivers", json=sent), 422)["errors"]] == [
            field
        ]
    assert receivers.list_receivers(OPERATOR) == []
    others = an_api_client(app, "read", "jobs", "privacy", name="others")
    assert "'admin' scope" in problem(others.get("/api/alert-receivers"), 403)["detail"]
    limited = an_api_client(app, "admin", name="limited", accounts=[account.id])
    problem(limited.post("/api/alert-receivers", json={"address": "https://example.com", "accountIds": ["1"]}), 403)


@pytest.mark.usefixtures("sink")
def test_a_secret_is_rotated_on_the_page_by_command_and_through_the_api(admin: FlaskClient, app: Flask) -> None:
    [first] = re.findall(r"<code>(whsec_[^<]+)</code>", add(admin, "https://example.com/alerts"))
    assert "for 24 hours" in admin.get("/alerts/receivers/1").text
    answer = click(admin, "/alerts/receivers/1/rotate-secret", htmx=False)
    [second] = re.findall(r"<code>(whsec_[^<]+)</code>", answer.text)
    assert "the new and the old secret until" in answer.text
    assert second not in admin.get("/alerts/receivers/1").text
    third = nametag("alert", "receivers", "rotate-secret", "1").stdout.strip()
    client = an_api_client(app, "admin")
    rotated = client.post("/api/alert-receivers/1/rotate-secret").get_json()
    assert len({first, second, third, rotated["secret"]}) == 4
    [listed] = client.get("/api/alert-receivers").get_json()["data"]
    assert listed == {key: value for key, value in rotated.items() if key != "secret"}
    assert listed["oldSecretUntil"] is not None
    page = admin.get("/audit").text
    assert "Rotated the secret of an alert receiver" in page
    assert "whsec_" not in page
