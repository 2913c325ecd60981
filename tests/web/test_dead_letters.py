"""The Dead letters page."""

import html
import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ingest import dead_letters, replay
from app.ingest.dead_letters import LetterFilter
from app.viewer import OPERATOR, Role
from tests.factories import ATELIER_NORD, LEA, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook
from tests.web.browsing import click, normalized, part, signed_in


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    token = "<b>access_token=IGAAcanaryOfATest0123456789</b>"
    deliver_to_nobody(token)
    return signed_in(app)


def deliver_to_nobody(text: str) -> None:
    """Deliver a message of an account that is not connected."""
    body = a_delivery(a_message_event(LEA, text, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    receive_webhook(body)


def test_the_page_shows_what_was_sent_escaped_and_without_tokens(ops: FlaskClient) -> None:
    page = ops.get("/dead-letters").text
    assert "no connected account has this ID" in page
    assert page.count(">Unknown account<") == 2  # of the group, and of the dead letter
    assert ATELIER_NORD in page
    assert "IGAAcanary" not in page
    assert "<b>access" not in page
    shown = part(ops, "/dead-letters").text.partition('<span class="rail-count"')[0]
    assert normalized(shown) in normalized(page)


def test_a_letter_is_tried_again_and_gone_once_it_lands(ops: FlaskClient) -> None:
    refused = click(ops, "/dead-letters/1/replay")
    assert "Replayed 1: 0 processed, 1 failed again." in refused.headers["HX-Trigger"]
    an_account(ATELIER_NORD)
    replayed = click(ops, "/dead-letters/replay")
    assert "Replayed 1: 1 processed, 0 failed again." in replayed.headers["HX-Trigger"]
    assert "No dead letters." in replayed.text


def test_all_letters_are_replayed_in_steps_that_show_their_progress(
    ops: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        deliver_to_nobody(f"more {number}")
    an_account(ATELIER_NORD)
    page = ops.get("/dead-letters").text
    assert re.search(r"atelier\.nord</bdi>, connected since .*Replay processes these", normalized(page))
    monkeypatch.setattr(replay, "BATCH", 2)
    sent: dict[str, str] = {}
    for done in ("2 of 5, 0 failed again", "4 of 5, 0 failed again"):
        answer = click(ops, "/dead-letters/replay", htmx=True, **sent)
        assert f"Replaying: {done}" in answer.text
        assert 'hx-trigger="load"' in answer.text
        fields = re.findall(r'name="(total|through|after|processed|failed)" value="(\d+)"', answer.text)
        sent = dict(fields)
    last = click(ops, "/dead-letters/replay", htmx=True, **sent)
    assert "Replayed 5: 5 processed, 0 failed again." in last.headers["HX-Trigger"]
    assert "Replaying" not in last.text


def test_all_letters_are_replayed_without_scripts_too(ops: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH", 1)
    deliver_to_nobody("one more")
    an_account(ATELIER_NORD)
    assert click(ops, "/dead-letters/replay", htmx=False).status_code == 303
    assert "No dead letters." in ops.get("/dead-letters").text


def test_a_letter_is_thrown_away(ops: FlaskClient) -> None:
    answer = click(ops, "/dead-letters/1/discard")
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == "Dead letter discarded."
    assert click(ops, "/dead-letters/1/discard").status_code == 404


def test_agents_see_neither_page_nor_link(app: Flask) -> None:
    agent = signed_in(app, Role.AGENT)
    assert agent.get("/dead-letters").status_code == 403
    assert "/dead-letters" not in agent.get("/inbox").text
    assert click(agent, "/dead-letters/replay").status_code == 403


def test_dead_letters_are_filtered_by_kind_paged_and_replayed_by_kind(ops: FlaskClient, app: Flask) -> None:
    receive_webhook(b"[]")
    receive_webhook(a_delivery(a_message_event(LEA, "canary", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD))
    page = ops.get("/dead-letters?reason=unreadable").text
    assert "canary" not in page
    assert "Replay these" in page
    assert f"/dead-letters?reason=unknown_account&amp;account={ATELIER_NORD}" in page
    an_account(ATELIER_NORD)
    click(ops, f"/dead-letters/replay?reason=unknown_account&account={ATELIER_NORD}", htmx=False)
    assert dead_letters.count(OPERATOR, LetterFilter("unknown_account")) == 0
    assert dead_letters.count(OPERATOR, LetterFilter("unreadable")) >= 1
    for number in range(dead_letters.PAGE):
        receive_webhook(b"[" + str(number).encode() + b"]")
    found = re.search(r'href="(/dead-letters\?[^"]*after=[^"]+)"', ops.get("/dead-letters").text)
    assert found
    assert ops.get(html.unescape(found[1])).status_code == 200
    assert ops.get("/dead-letters?after=guessed").status_code == 422
