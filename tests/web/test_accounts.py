"""The page of accounts."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import update

from app import queue
from app.db import transaction
from app.models.inbox import Account
from app.viewer import Role
from tests.cast import MAISON_LUNE, an_account
from tests.web.browsing import click, signed_in


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    an_account()
    return signed_in(app)


def test_a_healthy_account_is_shown_as_such_and_never_its_token(ops: FlaskClient) -> None:
    page = ops.get("/accounts").text
    assert "Healthy" in page
    assert MAISON_LUNE in page
    assert "sandbox-token" not in page


def test_what_is_missing_is_said(ops: FlaskClient) -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).values(missing_subscriptions=["message_edit", "standby"]))
    page = ops.get("/accounts").text
    assert "Needs attention" in page
    assert "Missing: message_edit, standby" in page


def test_reading_back_is_asked_of_a_worker(ops: FlaskClient, redis: Redis) -> None:
    assert "Reading conversations back." in click(ops, f"/accounts/{MAISON_LUNE}/sync").headers["HX-Trigger"]
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.SYNC].queue}") == 1
    assert click(ops, "/accounts/1/sync").status_code == 404


def test_agents_look_only(app: Flask) -> None:
    an_account()
    agent = signed_in(app, Role.AGENT)
    assert "Read conversations back" not in agent.get("/accounts").text
    assert click(agent, f"/accounts/{MAISON_LUNE}/sync").status_code == 403


def test_without_an_account_the_page_says_what_to_do(app: Flask) -> None:
    assert "nametag account add" in signed_in(app).get("/accounts").text
