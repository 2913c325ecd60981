"""The page of dead letters."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ingest import receive
from app.viewer import Role
from tests.cast import ATELIER_NORD, LEA, a_delivery, a_message_event, an_account, signed
from tests.web.browsing import click, part, signed_in
from tests.web.test_page import squeezed


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    token = "<b>access_token=IGAAcanaryOfATest0123456789</b>"
    body = a_delivery(a_message_event(LEA, token, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    return signed_in(app)


def test_the_page_shows_what_was_sent_escaped_and_without_tokens(ops: FlaskClient) -> None:
    page = ops.get("/dead-letters").text
    assert "no connected account has this id" in page
    assert ATELIER_NORD in page
    assert "IGAAcanary" not in page
    assert "<b>access" not in page
    shown = part(ops, "/dead-letters").text.partition('<span class="rail-count"')[0]
    assert squeezed(shown) in squeezed(page)


def test_a_letter_is_tried_again_and_gone_once_it_lands(ops: FlaskClient) -> None:
    refused = click(ops, "/dead-letters/1/replay")
    assert "0 landed, 1 still cannot be placed." in refused.headers["HX-Trigger"]
    an_account(ATELIER_NORD)
    landed = click(ops, "/dead-letters/replay")
    assert "1 landed, 0 still" in landed.headers["HX-Trigger"]
    assert "Everything that arrived found its place." in landed.text


def test_a_letter_is_thrown_away(ops: FlaskClient) -> None:
    answer = click(ops, "/dead-letters/1/discard")
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == "Thrown away."
    assert click(ops, "/dead-letters/1/discard").status_code == 404


def test_agents_see_neither_page_nor_link(app: Flask) -> None:
    agent = signed_in(app, Role.AGENT)
    assert agent.get("/dead-letters").status_code == 403
    assert "/dead-letters" not in agent.get("/inbox").text
    assert click(agent, "/dead-letters/replay").status_code == 403
