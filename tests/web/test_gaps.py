"""The report of a gap in the inbox and on the account's card."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.db import transaction
from app.models.account import Account
from app.models.gap import Gap, GapCause, GapState
from app.viewer import Role
from tests.factories import LEA, an_account, people_wrote
from tests.web.browsing import click, signed_in

REPORT = "@maison.lune received nothing {}: 61 messages in 23 conversations were fetched, 5 could not be."


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA)
    return account


def a_gap(account: Account, **changes: Any) -> int:
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    columns = {
        "account_id": account.id,
        "began_at": today - timedelta(hours=21, minutes=50),
        "ended_at": today - timedelta(hours=17, minutes=15),
        "causes": [GapCause.OUTAGE.value],
        "state": GapState.CLOSED_WITH_LOSSES,
        "run_id": "3f9c1a7be204",
        "conversations": 23,
        "found": 61,
        "lost": {"older": 3, "unsent": 2},
        "closed_at": clock.now(),
    }
    with transaction.write() as tx:
        gap = Gap(**(columns | changes))
        tx.session.add(gap)
        tx.session.flush()
        return gap.id


def test_the_inbox_reports_a_gap_until_any_user_dismisses_it(app: Flask, account: Account) -> None:
    gap_id = a_gap(account)
    agent, colleague = signed_in(app, Role.AGENT), signed_in(app, Role.OPS)
    report = REPORT.format("Yesterday, 02:10–06:45")
    page = agent.get("/inbox").text
    assert report in page
    assert 'href="/jobs/3f9c1a7be204"' in page
    assert report in agent.get("/inbox/list", headers={"HX-Request": "true"}).text
    assert report not in agent.get("/inbox?q=lea").text
    dismissed = click(agent, f"/gaps/{gap_id}/dismiss")
    assert (dismissed.status_code, "inbox:refresh" in dismissed.headers["HX-Trigger"]) == (204, True)
    assert "received nothing" not in colleague.get("/inbox").text
    assert click(agent, "/gaps/999/dismiss").status_code == 404


def test_without_javascript_a_dismissal_returns_to_the_inbox(app: Flask, account: Account) -> None:
    gap_id = a_gap(account)
    answer = click(signed_in(app, Role.AGENT), f"/gaps/{gap_id}/dismiss", htmx=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")


def test_times_are_in_the_time_zone_of_the_user(app: Flask, account: Account) -> None:
    began_at = datetime(2026, 3, 1, 2, 10, tzinfo=UTC)
    a_gap(account, began_at=began_at, ended_at=began_at + timedelta(hours=24))
    client = signed_in(app, Role.AGENT)
    client.set_cookie("zone", "Asia/Tokyo")
    assert REPORT.format("1 Mar, 11:10–2 Mar, 11:10") in client.get("/inbox").text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ended_at": None, "state": GapState.OPEN}, "It has not ended."),
        ({"state": GapState.READING}, "The messages are being fetched."),
        ({}, "Not given by Meta: 3 older than the newest 20 of a conversation, 2 unsent."),
        ({"causes": ["outage", "reconnect"]}, "Nametag not running. Access token rejected."),
        ({"state": GapState.GIVEN_UP}, "The sync did not finish. Start a conversation sync."),
        ({"found": 0, "conversations": 0, "lost": {}, "state": GapState.CLOSED}, "No messages were fetched."),
    ],
)
def test_the_card_of_the_account_shows_its_gaps(
    app: Flask, account: Account, changes: dict[str, Any], says: str
) -> None:
    a_gap(account, **changes)
    assert says in signed_in(app, Role.OPS).get("/accounts").text


def test_the_inbox_reports_the_newest_three_gaps_at_a_time(app: Flask, account: Account) -> None:
    ids = [a_gap(account, found=number) for number in range(1, 6)]
    client = signed_in(app, Role.AGENT)
    page = client.get("/inbox").text
    assert [f"/gaps/{each}/dismiss" in page for each in ids] == [False, False, True, True, True]
    click(client, f"/gaps/{ids[-1]}/dismiss")
    assert f"/gaps/{ids[1]}/dismiss" in client.get("/inbox").text


def test_an_old_report_and_one_of_nothing_are_not_in_the_inbox(app: Flask, account: Account) -> None:
    a_gap(account, closed_at=clock.now() - timedelta(days=8))
    a_gap(account, found=0, lost={}, state=GapState.CLOSED)
    client: FlaskClient = signed_in(app, Role.AGENT)
    assert "received nothing" not in client.get("/inbox").text
