"""Page and htmx part show the same content; errors are pages or toasts."""

import html
import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app import settings
from app.errors import Unavailable
from app.factory import create_app
from app.inbox import listing, thread
from app.models.account import Account
from app.viewer import Role
from tests.factories import LEA, an_account, people_wrote
from tests.support import databases, postgresql
from tests.support.web_client import WebClient
from tests.web.browsing import HTMX, click, normalized, part, signed_in

PARTS = [
    ("/inbox", "/inbox/list"),
    ("/inbox?filter=unread", "/inbox/list?filter=unread"),
    ("/inbox/1", "/inbox/1"),
    ("/inbox/1", "/inbox/1/messages"),
    ("/jobs", "/jobs/live"),
    ("/jobs", "/jobs/unresolved"),
    ("/jobs", "/jobs/history"),
]


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def ops(app: Flask, account: Account) -> FlaskClient:
    people_wrote(LEA)
    return signed_in(app)


# What htmx puts elsewhere: the page's title, and elements that come along with a part.
TITLE = re.compile(r"<title>.*?</title>")
ALONG = re.compile(r"(?=<[a-z]+ [^>]*hx-swap-oob)")


@pytest.mark.parametrize(("page", "address"), PARTS)
def test_each_part_is_in_its_page(ops: FlaskClient, page: str, address: str) -> None:
    ops.get("/inbox/1", headers=HTMX)
    before = ops.get(page).text
    asked = re.search(rf'hx-get="({re.escape(address)}[?][^"]*)"', before)  # with what the page shows already
    polled = html.unescape(asked[1]) if asked else address
    shown = ops.get(polled, headers=HTMX | {"HX-Current-URL": f"http://localhost{page}"}).text
    content = TITLE.sub("", normalized(shown.partition('<span class="rail-count"')[0]))
    assert len(content) > 50
    whole = normalized(ops.get(page).text)
    for element in ALONG.split(content):
        assert element.replace(' hx-swap-oob="morph"', "").strip() in whole


@pytest.mark.parametrize("address", ["/inbox/list", "/inbox/list/more", "/inbox/1/messages", "/jobs/live"])
def test_a_part_typed_by_hand_leads_to_its_page(ops: FlaskClient, address: str) -> None:
    answer = ops.get(address)
    assert answer.status_code == 303
    assert ops.get(answer.location).status_code == 200


def test_history_gets_the_whole_page(ops: FlaskClient) -> None:
    whole = ops.get("/inbox/1", headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert whole.text.startswith("<!doctype html>")
    assert not part(ops, "/inbox/1").text.startswith("<!doctype html>")


def test_a_changed_part_brings_the_counts_around_it(ops: FlaskClient) -> None:
    shown = part(ops, "/inbox/list").text
    assert '<span class="segment-count num" id="count-unread" hx-swap-oob="true">1</span>' in shown
    assert 'id="rail-unread" hx-swap-oob="true">1<' in shown
    assert "hx-swap-oob" not in ops.get("/inbox").text
    assert "count-unread" not in part(ops, "/jobs/live").text


def test_parts_and_pages_are_kept_apart_by_caches(ops: FlaskClient) -> None:
    for answer in (ops.get("/inbox"), part(ops, "/inbox/list")):
        assert "HX-Request" in answer.headers["Vary"]
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("address", ["/nowhere", "/inbox/999", "/inbox?account=1", "/jobs/0123456789ab"])
def test_what_is_not_there_is_a_page_that_says_so(ops: FlaskClient, address: str) -> None:
    answer = ops.get(address)
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert 'id="rail"' in answer.text


def test_strangers_see_an_error_page_without_a_rail(app: Flask) -> None:
    answer = app.test_client().post("/login", data={})
    assert answer.status_code == 400
    assert 'id="rail"' not in answer.text


@pytest.mark.parametrize("query", ["filter=odd", "limit=0", "limit=x", "limit=-1", "q=" + "x" * 201, "after=x"])
def test_an_address_that_makes_no_sense_is_refused_in_words(ops: FlaskClient, query: str) -> None:
    assert ops.get(f"/inbox?{query}").status_code == 422
    refused = part(ops, f"/inbox/list?{query}")
    assert refused.status_code == 422
    assert json.loads(refused.headers["HX-Trigger"])["toast"]["kind"] == "error"


def test_a_role_too_low_is_told_which_it_takes(app: Flask, account: Account) -> None:
    agent = signed_in(app, Role.AGENT)
    answer = click(agent, "/jobs/backfill")
    assert answer.status_code == 403
    assert "You need the ops role" in json.loads(answer.headers["HX-Trigger"])["toast"]["text"]
    assert "Backfill profiles</button>" not in agent.get("/jobs").text


def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(
    ops: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("database")

    monkeypatch.setattr(listing, "page", away)
    answer = ops.get("/inbox")
    assert (answer.status_code, answer.headers["Retry-After"].isdigit()) == (503, True)
    assert 'href="/jobs"' in answer.text
    polled = part(ops, "/inbox/list")
    assert (polled.status_code, "HX-Trigger" in polled.headers) == (503, False)


def test_a_page_of_a_signed_in_user_is_our_503_while_postgresql_is_unavailable(redis: Redis) -> None:
    with postgresql.own_server() as server:
        address = databases.address(postgresql.create(server, "nametag"))
        databases.upgrade(address)
        with settings.using(database_url=address), databases.app_context_of(create_app()) as app:
            app.test_client_class = WebClient
            ops = signed_in(app)
            postgresql.halt(server)
            answers = [
                ops.get("/inbox"),
                ops.get("/settings"),
                ops.get("/admin/queues/"),
                ops.get("/inbox", headers=HTMX),
            ]
            for answer in answers:
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.text
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert 'href="/jobs"' in answers[0].text
            postgresql.resume(server)
            assert ops.get("/inbox").status_code == 200


def test_a_click_while_the_database_is_away_is_told_so(ops: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("database")

    monkeypatch.setattr(thread, "mark_unread", away)
    clicked = click(ops, "/inbox/1/unread")
    assert clicked.status_code == 503
    assert json.loads(clicked.headers["HX-Trigger"])["toast"]["kind"] == "error"


def test_an_account_s_name_is_escaped(app: Flask) -> None:
    an_account(username="<script>alert(1)</script>")
    page = signed_in(app).get("/inbox").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
