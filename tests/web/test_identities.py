"""The Identities pages: list, one identity, refresh, export."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.models.run import Run, RunItem, RunKind, RunScope
from app.viewer import Role
from app.web import refresh_requests
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import click, part, signed_in


class Shown(HTMLParser):
    """Parses a page, and keeps the values that its export form sends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside, self.fields = False, dict[str, str]()
        self.feed(page)
        self.hidden = urlencode(self.fields)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = told.get("action") == "/identities/export"
        if self.inside and told.get("type") == "hidden":
            self.fields[told["name"]] = told["value"]


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now())
        )
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
    assert "Not looked up yet" in shown
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


def test_a_search_with_a_nul_character_is_refused(ops: FlaskClient) -> None:
    assert ops.get("/identities?q=%00").status_code == 400


def test_an_empty_list_says_so(ops: FlaskClient) -> None:
    assert "No match for “zzz”." in ops.get("/identities?q=zzz").text
    assert ops.get("/identities?state=x").status_code == 422


def test_a_person_has_a_page_of_their_own(ops: FlaskClient) -> None:
    shown = ops.get(f"/identities/{ids()[CAMILLE]}").text
    for words in (
        "Not looked up yet",
        "How the name was chosen",
        "Lookups",
        "Retries",
        "Conversation",
    ):
        assert words in shown
    assert ops.get("/identities/999999").status_code == 404


def test_a_click_asks_for_a_person_again(ops: FlaskClient, redis: Redis) -> None:
    redis.flushall()
    assert click(ops, f"/identities/{ids()[CAMILLE]}/refresh").status_code == 204
    db.session.rollback()
    camille = db.session.scalars(select(Identity).where(Identity.ig_participant_id == CAMILLE)).one()
    assert camille.next_purpose is Purpose.ASKED
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_a_contact_looked_up_moments_ago_is_not_looked_up_again_by_a_click(ops: FlaskClient, redis: Redis) -> None:
    redis.flushall()
    answer = click(ops, f"/identities/{ids()[LEA]}/refresh")
    assert re.search(r"Looked up \d+ s ago", answer.headers["HX-Trigger"])
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 0


def test_a_user_may_refresh_so_many_times_a_minute(ops: FlaskClient) -> None:
    for _ in range(refresh_requests.PER_MINUTE):
        assert click(ops, f"/identities/{ids()[LEA]}/refresh").status_code == 204
    for address in (f"/identities/{ids()[LEA]}/refresh", "/inbox/1/refresh"):
        assert click(ops, address).status_code == 429


def test_an_identity_page_follows_its_lookup_and_reports_the_result(ops: FlaskClient, account: Account) -> None:
    address = f"/identities/{ids()[CAMILLE]}"
    assert "every 1s" not in ops.get(f"/identities/{ids()[LEA]}").text
    answer = click(ops, f"{address}/refresh")
    assert json.loads(answer.headers["HX-Trigger"])["refresh:queued"] is True
    waiting = part(ops, address)
    assert "Looking up" in waiting.text
    assert 'hx-trigger="refresh:queued from:body, every 1s"' in waiting.text
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(CAMILLE, "camille.r", None, None, Source.PROFILE, clock.now())
        )
    done = part(ops, f"{address}?looking=1")
    assert json.loads(done.headers["HX-Trigger"])["toast"]["text"] == "Resolved: @camille.r."
    assert "camille.r" in done.text
    assert "every 1s" not in done.text


def test_a_lookup_that_nothing_carries_out_is_not_followed_for_long(
    ops: FlaskClient, frozen_clock: FrozenClock
) -> None:
    address = f"/identities/{ids()[CAMILLE]}"
    click(ops, f"{address}/refresh")
    frozen_clock.forward(seconds=31)
    assert "every 1s" not in part(ops, address).text


def refreshed(run_address: str) -> list[str]:
    db.session.rollback()
    found = select(RunItem.ig_participant_id).where(RunItem.run_id == run_address.rpartition("/")[2])
    return list(db.session.scalars(found.order_by(RunItem.position)))


def test_selected_contacts_are_planned_and_then_refreshed_by_a_job(ops: FlaskClient) -> None:
    camille = ids()[CAMILLE]
    planned = ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=chosen&identity={camille}")
    assert "Start for 1 contact" in planned.text
    answer = click(ops, "/jobs/refresh", account=MAISON_LUNE, scope="chosen", identity=str(camille))
    assert refreshed(answer.headers["HX-Redirect"]) == [CAMILLE]
    run = db.session.scalars(select(Run)).one()
    assert (run.kind, run.scope) == (RunKind.REFRESH, RunScope.CHOSEN)
    second = click(ops, "/jobs/refresh", account=MAISON_LUNE, scope="chosen", identity=str(ids()[LEA]))
    assert second.status_code == 409
    assert run.id in second.headers["HX-Trigger"]


def test_all_that_match_a_filter_are_planned_and_then_refreshed_by_a_job(ops: FlaskClient) -> None:
    listed = ops.get(f"/identities?account={MAISON_LUNE}&state=known").text
    assert f"/jobs/new?account={MAISON_LUNE}&amp;scope=filter&amp;state=known" in listed
    planned = ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=filter&state=known")
    assert "1 known contact is looked up again" in planned.text
    answer = click(ops, "/jobs/refresh", account=MAISON_LUNE, scope="filter", state="known")
    assert refreshed(answer.headers["HX-Redirect"]) == [LEA]
    assert db.session.scalars(select(Run.scope)).one() is RunScope.FILTER


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "x", "-1", ""])
def test_a_selection_of_no_contact_is_refused(ops: FlaskClient, number: str) -> None:
    answer = click(ops, "/jobs/refresh", account=MAISON_LUNE, scope="chosen", identity=number)
    assert answer.status_code == 422
    assert "Select at least one contact" in answer.headers["HX-Trigger"]
    assert ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=chosen&identity={number[:40]}").status_code == 422


def test_a_selection_of_another_account_is_not_found(ops: FlaskClient) -> None:
    an_account(ATELIER_NORD)
    answer = click(ops, "/jobs/refresh", account=ATELIER_NORD, scope="chosen", identity=str(ids()[LEA]))
    assert answer.status_code == 404


def test_exports_are_for_ops(app: Flask, ops: FlaskClient) -> None:
    answer = ops.get("/identities/export?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="identities.csv"'
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "Content-Length" not in answer.headers  # it is sent while it is read
    assert LEA in answer.text
    agent = signed_in(app, Role.AGENT)
    assert agent.get("/identities/export").status_code == 403
    assert click(agent, f"/identities/{ids()[LEA]}/refresh").status_code == 403


def test_agents_refresh_the_contact_of_a_conversation_on_its_identity_page_too(app: Flask, ops: FlaskClient) -> None:
    agent = signed_in(app, Role.AGENT)
    page = agent.get(f"/identities/{ids()[CAMILLE]}").text
    assert "Refresh now" in page
    [path] = re.findall(r'hx-post="(/inbox/\d+/refresh)"', page)
    answer = click(agent, path)
    assert answer.status_code == 204
    assert json.loads(answer.headers["HX-Trigger"])["refresh:queued"] is True


def test_an_export_holds_what_the_list_above_it_shows(ops: FlaskClient) -> None:
    for query, people in (
        ("state=unknown", [CAMILLE]),
        ("q=lea", [LEA]),
        ("state=known&q=x", []),
        ("", [LEA, CAMILLE]),
    ):
        shown = Shown(ops.get(f"/identities?account={MAISON_LUNE}&{query}").text)
        told = ops.get(f"/identities/export?format=jsonl&{shown.hidden}").text.splitlines()
        assert [json.loads(line)["participantPlatformId"] for line in told] == people
    assert ops.get("/identities/export?state=asleep").status_code == 422


def test_the_thread_leads_to_why(ops: FlaskClient) -> None:
    shown = "".join(ops.get(f"/inbox/{conversation}").text for conversation in (1, 2))
    assert f'href="/identities/{ids()[CAMILLE]}">Why unknown?' in shown
    assert f'href="/identities/{ids()[LEA]}">Identity details' in shown
