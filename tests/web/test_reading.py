"""Pages of several users: what is unread for each, who is present, and marking all shown conversations as read."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import update

from app import settings
from app.db import transaction
from app.db.engine import db
from app.inbox import presence
from app.models.account import Account
from app.models.user import User
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_user, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import HTMX, click, part, poll_headers, signed_in
from tests.web.test_conditional import recorded

VISIBLE = {"Nametag-Visible": "true"}
SHOWN = re.compile(r'form="read-shown" name="shown" value="([^"]+)"')


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def nadia(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app, email="nadia.kessler@example.com")


@pytest.fixture
def oskar(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app, email="oskar@example.com")


def badge(client: FlaskClient) -> str:
    found = re.search(r'id="count-unread"[^>]*>([^<]*)<', client.get("/inbox").text)
    assert found
    return found[1]


def who_is_here(client: FlaskClient, **headers: str) -> str:
    answer = client.get("/inbox/1/messages?new=0", headers=HTMX | VISIBLE | headers)
    found = re.search(r'class="thread-present">.*?<span>(.*?)</span>', answer.text, re.DOTALL)
    return found[1] if found else ""


def test_reading_leaves_the_badges_of_other_users(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(LEA, CAMILLE)
    click(nadia, "/inbox/1/read")
    assert (badge(nadia), badge(oskar)) == ("1", "2")
    assert oskar.get("/inbox").text.count("Not read by any user. ") == 1
    assert 'hx-post="/inbox/1/read' in part(oskar, "/inbox/1").text
    click(oskar, "/inbox/1/read")
    assert badge(oskar) == "1"


def test_marking_as_unread_changes_the_own_list_only(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(LEA)
    for each in (nadia, oskar):
        click(each, "/inbox/1/read")
    answer = click(nadia, "/inbox/1/unread")
    assert json.loads(answer.headers["HX-Trigger"])["inbox:refresh"]
    assert (badge(nadia), badge(oskar)) == ("1", "0")


def test_presence_appears_with_a_poll_and_ends_without_polls(
    nadia: FlaskClient, oskar: FlaskClient, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA)
    headers = poll_headers(nadia.get("/inbox/1").text, "msgs-1") | VISIBLE
    assert nadia.get("/inbox/1/messages?new=1", headers=headers).status_code == 304
    oskar.get("/inbox/1")
    assert who_is_here(nadia) == "Oskar is here"
    assert who_is_here(oskar) == "Nadia Kessler is here"
    assert nadia.get("/inbox/1/messages?new=1", headers=headers).status_code == 200
    frozen_clock.forward(seconds=25)  # oskar's tab no longer polls
    assert who_is_here(nadia) == ""


def test_a_hidden_tab_is_not_present(nadia: FlaskClient, oskar: FlaskClient, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA)
    assert who_is_here(oskar, **{"Nametag-Visible": "false"}) == ""
    assert who_is_here(nadia) == ""


def test_leaving_a_conversation_and_signing_out_end_presence(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(LEA, CAMILLE)
    oskar.get("/inbox/1")
    assert who_is_here(nadia) == "Oskar is here"
    part(oskar, "/inbox/2", HX_Current_URL="http://localhost/inbox/1")
    assert who_is_here(nadia) == ""
    oskar.get("/inbox/1")
    part(oskar, "/inbox", HX_Current_URL="http://localhost/inbox/1")
    assert who_is_here(nadia) == ""
    oskar.get("/inbox/1")
    click(oskar, "/inbox/1/leave")
    assert who_is_here(nadia) == ""
    oskar.get("/inbox/1")
    click(oskar, "/logout")
    assert who_is_here(nadia) == ""


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (2, "User0 and User1 are here"),
        (3, "User0, User1 and 1 other are here"),
        (200, "User0, User1 and 198 others are here"),
    ],
)
def test_several_users_are_named_and_counted(nadia: FlaskClient, others: int, sentence: str) -> None:
    people_wrote(LEA)
    for number in range(others):
        presence.report(a_user(f"user{number}"), 1, visible=True)
    assert who_is_here(nadia) == sentence


def test_without_redis_a_thread_shows_no_presence_and_no_error(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(LEA)
    oskar.get("/inbox/1")
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        assert nadia.get("/inbox/1").status_code == 200
        assert who_is_here(nadia) == ""
        assert click(nadia, "/logout").status_code == 303


def test_an_unchanged_thread_poll_with_fifty_users_present_reads_no_more_rows(
    app: Flask, nadia: FlaskClient, redis: Redis
) -> None:
    people_wrote(LEA)
    for number in range(50):
        presence.report(a_user(f"user{number}"), 1, visible=True)
    headers = poll_headers(nadia.get("/inbox/1").text, "msgs-1") | VISIBLE
    with recorded() as (statements, _):
        assert nadia.get("/inbox/1/messages?new=1", headers=headers).status_code == 304
    assert len(statements) == 2  # the session's user, and whether they may see the conversation
    assert all(each.startswith("SELECT") for each in statements)
    assert not any("messages" in each or "unread_by_user" in each for each in statements)


def test_an_unchanged_list_poll_of_fifty_users_reads_no_row(app: Flask, nadia: FlaskClient) -> None:
    for number in range(50):
        a_user(f"user{number}")
    people_wrote(LEA)
    headers = poll_headers(nadia.get("/inbox").text, "conv-list")
    with recorded() as (statements, _):
        assert nadia.get("/inbox/list", headers=headers).status_code == 304
    assert not any(name in each for each in statements for name in ("conversations", "messages", "unread_by_user"))


def test_all_shown_conversations_are_marked_as_read_and_unread_again(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(LEA, CAMILLE)
    shown = SHOWN.findall(nadia.get("/inbox").text)
    people_wrote(CAMILLE)  # after the list was rendered
    token = {"shown": shown}
    assert len(shown) == 2
    post(nadia, "/inbox/read", token)
    assert (badge(nadia), badge(oskar)) == ("1", "2")
    post(nadia, "/inbox/unread", token)
    assert (badge(nadia), badge(oskar)) == ("2", "2")
    assert "Not read by any user" in nadia.get("/inbox").text  # of the later message


def post(client: FlaskClient, address: str, fields: dict[str, list[str]]) -> None:
    csrf = re.search(r'"X-CSRFToken": "([^"]+)"', client.get("/inbox").text)
    assert csrf
    answer = client.post(address, data=fields, headers=HTMX | {"X-CSRFToken": csrf[1]})
    assert (answer.status_code, json.loads(answer.headers["HX-Trigger"])) == (204, {"inbox:refresh": True})


def test_without_javascript_the_button_leads_back_to_the_inbox(nadia: FlaskClient) -> None:
    people_wrote(LEA)
    [shown] = SHOWN.findall(nadia.get("/inbox").text)
    answer = click(nadia, "/inbox/read", htmx=False, shown=shown)
    assert (answer.status_code, answer.location, badge(nadia)) == (303, "/inbox", "0")


@pytest.mark.parametrize("value", ["", "1", "1.2", "1.2.3.4", "-1.0.0", "x.1.1", f"1.{10**20}.0", f"{10**30}.1.1"])
def test_a_malformed_row_is_refused(nadia: FlaskClient, value: str) -> None:
    for address in ("/inbox/read", "/inbox/unread"):
        assert click(nadia, address, shown=value).status_code == 422, address


def test_rows_of_other_accounts_and_unknown_ones_are_skipped(app: Flask, nadia: FlaskClient, account: Account) -> None:
    people_wrote(LEA)
    limited = signed_in(app, email="limited@example.com")
    with transaction.write() as tx:
        tx.execute(update(User).where(User.email == "limited@example.com").values(account_ids=[account.id + 1]))
    for address in ("/inbox/read", "/inbox/unread"):
        assert click(limited, address, shown="1.1.0").status_code == 204
        assert click(nadia, address, shown="987654.1.0").status_code == 204
    db.session.rollback()
    assert badge(nadia) == "1"


def test_notices_name_new_conversations_and_hold_texts_only_on_request(nadia: FlaskClient, oskar: FlaskClient) -> None:
    people_wrote(CAMILLE)
    first = nadia.get("/inbox/notices").get_json()
    assert first["waiting"] == []
    people_wrote(LEA)
    address = f"/inbox/notices?since={first['latest']}"
    assert nadia.get(address).get_json()["waiting"] == [{"id": "2", "name": "@user_000011"}]
    assert nadia.get(f"{address}&text=1").get_json()["waiting"][0]["text"] == "Bonjour !"
    click(oskar, "/inbox/2/read")
    assert nadia.get(address).get_json()["waiting"] == []
    assert nadia.get("/inbox/notices?since=x").status_code == 422
    assert MAISON_LUNE not in nadia.get(address).text
