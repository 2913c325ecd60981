"""A muted account: its alerts are listed, and neither sent nor counted, until a user unmutes them."""

import json
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app import settings
from app.alerts import listing, muting, receivers
from app.alerts.receivers import AlertEvent
from app.db.engine import db
from app.errors import Conflict, Forbidden, NotFound
from app.models.account import Account, AccountState
from app.viewer import OPERATOR, Role, Viewer
from tests.alerts.test_deliveries import send, sent
from tests.alerts.test_lifecycle import beat, break_token, check, kill_workers, listed
from tests.api.clients import an_api_client, problem
from tests.cli.commands import nametag, refused
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.support.alert_sinks import HttpSink, http_sink
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import HTMX, csrf, signed_in
from tests.web.test_alerts import bar, count_in


@pytest.fixture(autouse=True)
def account(app: Flask, redis: Redis, frozen_clock: FrozenClock) -> Account:
    found = an_account()
    beat()
    return found


@pytest.fixture
def sink(account: Account) -> Iterator[HttpSink]:
    with http_sink() as found, settings.using(alert_private_addresses=True):
        receivers.add(OPERATOR, found.url, events=(AlertEvent.OPENED, AlertEvent.RECOVERED))
        yield found


def messages(sink: HttpSink) -> list[tuple[str, str]]:
    send()
    return [(each["type"], each["data"]["kind"]) for each in sent(sink)]


def solve() -> None:
    break_token(state=AccountState.CONNECTED)
    check()


def later(frozen_clock: FrozenClock, minutes: float) -> None:
    frozen_clock.forward(minutes=minutes)
    beat()
    check()


def test_alerts_of_a_muted_account_are_listed_and_not_sent(sink: HttpSink) -> None:
    muting.mute(OPERATOR, MAISON_LUNE)
    break_token()
    check()
    [alert] = listed()
    assert (alert.state, alert.muted) == ("open", True)
    assert listing.list_unacknowledged(OPERATOR) == ()
    solve()
    assert [each.state for each in listed()] == ["recovered"]
    assert messages(sink) == []


def test_alerts_of_other_accounts_and_of_the_installation_are_sent(sink: HttpSink) -> None:
    an_account(ATELIER_NORD)
    muting.mute(OPERATOR, MAISON_LUNE)
    break_token()
    break_token(ATELIER_NORD)
    kill_workers()
    check()
    assert set(messages(sink)) == {("alert.opened", "token_rejected"), ("alert.opened", "worker_missing")}
    assert {each["data"]["accountId"] for each in sent(sink)} == {ATELIER_NORD, None}


def test_what_is_queued_is_not_sent_once_the_account_is_muted(sink: HttpSink) -> None:
    break_token()
    check()
    muting.mute(OPERATOR, MAISON_LUNE)
    assert messages(sink) == []


def test_after_unmuting_what_has_been_open_for_half_an_hour_is_sent_once(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    break_token()
    check()
    muting.mute(OPERATOR, MAISON_LUNE)
    later(frozen_clock, 60)
    assert messages(sink) == []
    muting.unmute(OPERATOR, MAISON_LUNE)
    later(frozen_clock, 0)
    later(frozen_clock, 60)
    assert messages(sink) == [("alert.opened", "token_rejected")]
    solve()
    assert messages(sink)[1:] == [("alert.recovered", "token_rejected")]


def test_an_alert_that_was_sent_before_a_short_mute_is_sent_as_recovered(sink: HttpSink) -> None:
    break_token()
    check()
    assert messages(sink) == [("alert.opened", "token_rejected")]
    muting.mute(OPERATOR, MAISON_LUNE)
    check()
    muting.unmute(OPERATOR, MAISON_LUNE)
    solve()
    assert messages(sink) == [("alert.opened", "token_rejected"), ("alert.recovered", "token_rejected")]


def test_only_ops_who_see_the_account_mute_it_and_once(account: Account) -> None:
    with pytest.raises(Forbidden):
        muting.mute(Viewer(8, "agent@example.com", Role.AGENT), MAISON_LUNE)
    limited = Viewer(7, "limited@example.com", Role.OPS, frozenset({account.id + 1}))
    for action in (muting.mute, muting.unmute):
        with pytest.raises(NotFound):
            action(limited, MAISON_LUNE)
    with pytest.raises(Conflict, match="not muted"):
        muting.unmute(OPERATOR, MAISON_LUNE)
    muting.mute(OPERATOR, MAISON_LUNE)
    with pytest.raises(Conflict, match="muted already"):
        muting.mute(OPERATOR, MAISON_LUNE)
    assert muting.list_muted(limited) == []
    [muted] = muting.list_muted(OPERATOR)
    assert (muted.ig_account_id, muted.by) == (MAISON_LUNE, "Command line")


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    break_token()
    check()
    return signed_in(app, Role.ADMIN, email="nadia.kessler@example.com")


@pytest.mark.parametrize("page", ["/alerts", "/accounts"])
def test_an_account_is_muted_and_unmuted_on_both_pages(admin: FlaskClient, page: str) -> None:
    assert count_in(admin.get(page).text) == "1"
    path, here = f"/alerts/accounts/{MAISON_LUNE}", {"Referer": f"http://localhost{page}"}
    token = csrf(admin.get(page))
    answer = admin.post(f"{path}/mute", data={"csrf_token": token}, headers=here)
    assert (answer.status_code, answer.location) == (303, page)
    shown = admin.get(page).text
    assert "Alerts muted." in shown
    assert "by Nadia K." in shown
    assert "Access token rejected" in admin.get("/alerts").text
    assert (count_in(shown), bar(admin.get("/jobs").text)) == ("", "")
    answer = admin.post(f"{path}/unmute", headers=HTMX | here | {"X-CSRFToken": token})
    assert answer.headers["HX-Redirect"] == page
    assert count_in(admin.get(page).text) == "1"
    assert "Muted the alerts of an account" in admin.get("/audit").text


def test_the_api_and_the_command_mute_and_unmute(app: Flask) -> None:
    client = an_api_client(app)
    muted = client.post(f"/api/accounts/{MAISON_LUNE}/alerts/mute").get_json()
    assert (muted["accountId"], muted["mutedBy"]) == (MAISON_LUNE, "token crm")
    [account] = client.get("/api/accounts").get_json()["data"]
    assert (account["alertsMutedAt"], account["alertsMutedBy"]) == (muted["mutedAt"], "token crm")
    problem(client.post(f"/api/accounts/{MAISON_LUNE}/alerts/mute"), 409)
    assert refused(nametag("alert", "mute", MAISON_LUNE), status=1).endswith("Nothing was changed.")
    assert nametag("alert", "unmute", MAISON_LUNE).stdout == f"Unmuted the alerts of {MAISON_LUNE}.\n"
    db.session.rollback()
    assert client.get("/api/accounts").get_json()["data"][0]["alertsMutedAt"] is None
    assert nametag("alert", "mute", MAISON_LUNE).stdout == f"Muted the alerts of {MAISON_LUNE}.\n"
    assert client.post(f"/api/accounts/{MAISON_LUNE}/alerts/unmute").get_json()["mutedAt"] is None
    assert json.loads(nametag("alert", "list", "--json").stdout) == []
