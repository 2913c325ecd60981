"""The Schedules page."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import heartbeats, schedules
from app.runs import duties
from app.runs.duties import DutyOutcome
from app.users import users
from app.viewer import OPERATOR, Role
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import PASSWORD, click, normalized, part, sign_in, signed_in


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    heartbeats.reset()
    return signed_in(app, email="nadia.kessler@example.com")


def test_the_page_shows_when_each_schedule_ran_what_it_did_and_when_it_runs_next(
    ops: FlaskClient, frozen_clock: FrozenClock
) -> None:
    heartbeats.beat(heartbeats.SCHEDULER)
    duties.claim("subscription-check", schedules.DAY)
    duties.finish("subscription-check", DutyOutcome({"accounts": 2}, "The database was not available"))
    page = ops.get("/schedules").text
    assert "every day" in page
    assert ">2 accounts<" in page
    assert "The database was not available." in page
    assert page.count("Never run") == len(schedules.SCHEDULES) - 1
    assert "No scheduler" not in page
    shown = part(ops, "/schedules").text.partition('<span class="rail-count"')[0]
    assert normalized(shown) in normalized(page)


def test_without_a_scheduler_all_are_late_and_the_page_says_how_to_start_it(ops: FlaskClient) -> None:
    page = ops.get("/schedules").text
    assert page.count(">Late</span>") == len(schedules.SCHEDULES)
    assert "<code>nametag scheduler</code>" in page


@pytest.mark.parametrize("htmx", [True, False])
def test_a_schedule_is_run_and_switched_off_and_on_with_and_without_javascript(ops: FlaskClient, *, htmx: bool) -> None:
    def press(action: str) -> str:
        answer = click(ops, f"/schedules/pictures/{action}", htmx=htmx)
        assert answer.status_code == (200 if htmx else 303)
        return answer.text if htmx else ops.get(answer.location).text

    assert "Off by Nadia K." in press("off")
    assert "/schedules/pictures/off" not in press("run")
    assert "Off by" not in press("on")
    assert click(ops, "/schedules/pictures/on", htmx=htmx).status_code == 409
    assert click(ops, "/schedules/tea-time/run", htmx=htmx).status_code == 404


def test_switching_off_token_refresh_asks_first_and_purging_has_no_switch(ops: FlaskClient) -> None:
    page = ops.get("/schedules").text
    assert "/schedules/token-refresh/off" not in page
    assert 'href="/schedules/token-refresh">Switch off' in page
    asked = click(ops, "/schedules/token-refresh/off", htmx=False, account="")
    assert asked.status_code == 422
    assert "end after 60 days without a refresh" in asked.text
    assert "Select this box to confirm. Nothing was changed." in asked.text
    done = click(ops, "/schedules/token-refresh/off", htmx=False, account="", confirmed="1")
    assert done.location == "/schedules/token-refresh"
    assert "/schedules/purge/off" not in page + ops.get("/schedules/purge").text


def test_a_schedule_is_switched_off_and_on_for_one_account_with_the_reason_and_the_user(
    app: Flask, ops: FlaskClient
) -> None:
    an_account()
    an_account(ATELIER_NORD)
    off, home = {"account": ATELIER_NORD, "reason": "Rebranding <until> Friday"}, "/schedules/daily-refresh"
    assert click(ops, f"{home}/off", htmx=False, **off).location == home
    page = ops.get(home).text
    assert "Daily refresh is off for atelier.nord." in page
    assert "Rebranding &lt;until&gt; Friday" in page
    assert ">Nadia K.<" in page
    assert f'<option value="{ATELIER_NORD}"' not in page
    assert "Off for 1 account" in ops.get("/schedules").text
    assert click(ops, f"{home}/off", htmx=False, **off).status_code == 409
    assert click(ops, f"{home}/off", htmx=False, account=MAISON_LUNE, reason="x" * 201).status_code == 422
    assert click(ops, f"{home}/on", htmx=False, account=ATELIER_NORD).location == home
    assert "Daily refresh is on for atelier.nord." in ops.get(home).text
    assert click(ops, "/schedules/purge/off", htmx=False, account=ATELIER_NORD).status_code == 409


def test_limited_ops_switch_schedules_off_for_their_accounts_only(app: Flask) -> None:
    own = an_account()
    an_account(ATELIER_NORD)
    users.add_user(OPERATOR, "limited@example.com", role=Role.OPS, password=PASSWORD, account_ids=[own.id])
    schedules.switch_off(OPERATOR, "pictures", ig_account_id=ATELIER_NORD)
    client = app.test_client()
    sign_in(client, "limited@example.com")
    page = client.get("/schedules/pictures").text
    assert "All accounts</option>" not in page
    assert "atelier.nord" not in page
    for account, status in ((MAISON_LUNE, 303), (ATELIER_NORD, 404), ("", 403)):
        assert click(client, "/schedules/pictures/off", htmx=False, account=account).status_code == status


def test_limited_ops_see_schedules_without_buttons_and_agents_no_link(app: Flask) -> None:
    users.add_user(OPERATOR, "limited@example.com", role=Role.OPS, password=PASSWORD, account_ids=[])
    client = app.test_client()
    sign_in(client, "limited@example.com")
    assert "Run now" not in client.get("/schedules").text
    assert 'href="/schedules"' not in signed_in(app, Role.AGENT).get("/jobs").text
