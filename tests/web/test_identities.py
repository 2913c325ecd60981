"""The pages of identities: list, person, refresh, export."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.identities import sighting
from app.identities.sighting import Sighting
from app.models.identity import Identity, Purpose, Source
from app.models.inbox import Account
from app.viewer import Role
from tests.cast import CAMILLE, LEA, an_account, people_wrote
from tests.web.browsing import click, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    with transaction.write() as tx:
        sighting.record(tx, account.id, Sighting(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now()))
    return account


@pytest.fixture
def ops(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app)


def ids() -> dict[str, int]:
    db.session.rollback()
    return {each.ig_participant_id: each.id for each in db.session.scalars(select(Identity))}


def test_the_list_shows_everyone_with_a_reason(ops: FlaskClient) -> None:
    shown = ops.get("/identities").text
    assert "lea.moreau" in shown
    assert "Nobody was asked for this person yet" in shown
    assert f'href="/identities/{ids()[CAMILLE]}"' in shown


@pytest.mark.parametrize(
    ("query", "there", "missing"),
    [
        ("state=unknown", f"user_{CAMILLE[-6:]}", "lea.moreau"),
        ("state=known", "lea.moreau", f"user_{CAMILLE[-6:]}"),
        ("q=lea", "lea.moreau", f"user_{CAMILLE[-6:]}"),
        ("reason=never_tried", f"user_{CAMILLE[-6:]}", "lea.moreau"),
    ],
)
def test_the_list_can_be_narrowed(ops: FlaskClient, query: str, there: str, missing: str) -> None:
    shown = ops.get(f"/identities?{query}").text
    assert there in shown.partition('id="identities"')[2]
    assert missing not in shown.partition("<tbody>")[2]


def test_a_search_for_what_no_database_can_keep_finds_nobody(ops: FlaskClient) -> None:
    answer = ops.get("/identities?q=%00")
    assert answer.status_code == 200
    assert "lea.moreau" not in answer.text


def test_an_empty_list_says_so(ops: FlaskClient) -> None:
    assert "No match for “zzz”." in ops.get("/identities?q=zzz").text
    assert ops.get("/identities?state=x").status_code == 422


def test_a_person_has_a_page_of_their_own(ops: FlaskClient) -> None:
    shown = ops.get(f"/identities/{ids()[CAMILLE]}").text
    for words in (
        "Nobody was asked for this person yet",
        "How the name was chosen",
        "Lookups",
        "Retry state",
        "Seen in",
    ):
        assert words in shown
    assert ops.get("/identities/999999").status_code == 404


def test_a_click_asks_for_a_person_again(ops: FlaskClient, redis: Redis) -> None:
    redis.flushall()
    assert click(ops, f"/identities/{ids()[LEA]}/refresh").status_code == 204
    db.session.rollback()
    lea = db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()
    assert lea.next_purpose is Purpose.ASKED
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_the_people_of_a_list_are_asked_for_together(ops: FlaskClient) -> None:
    answer = click(ops, "/identities/refresh", id=str(ids()[CAMILLE]))
    assert "1 person is looked up again" in answer.headers["HX-Trigger"]


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "x", "-1"])
def test_what_cannot_be_an_id_asks_for_nobody(ops: FlaskClient, number: str) -> None:
    assert "0 people are looked up" in click(ops, "/identities/refresh", id=number).headers["HX-Trigger"]


def test_exports_are_for_ops(app: Flask, ops: FlaskClient) -> None:
    answer = ops.get("/identities/export?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="identities.csv"'
    assert LEA in answer.text
    agent = signed_in(app, Role.AGENT)
    assert agent.get("/identities/export").status_code == 403
    assert click(agent, f"/identities/{ids()[LEA]}/refresh").status_code == 403
    assert "Refresh now" not in agent.get(f"/identities/{ids()[LEA]}").text


def test_the_thread_leads_to_why(ops: FlaskClient) -> None:
    shown = "".join(ops.get(f"/inbox/{conversation}").text for conversation in (1, 2))
    assert f'href="/identities/{ids()[CAMILLE]}">Why unknown?' in shown
    assert f'href="/identities/{ids()[LEA]}">Identity details' in shown
