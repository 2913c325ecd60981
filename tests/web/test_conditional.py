"""Polls without changes: 304 without reading rows, and never after a change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import event, select, update

from app import clock, redis_client, settings
from app.db import transaction
from app.db.engine import db
from app.db.prepared import Prepared
from app.models.account import Account
from app.models.conversation import Message
from app.models.run import Run, RunKind, RunState
from app.models.user import User
from app.runs import lifecycle
from app.viewer import OPERATOR, Role, Viewer
from app.web import conditional
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    a_message_event,
    an_account,
    deliver,
    named,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import HTMX, click, part, poll_headers, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def ops(app: Flask, account: Account) -> FlaskClient:
    people_wrote(LEA)
    return signed_in(app)


@contextmanager
def recorded() -> Iterator[tuple[list[str], list[str]]]:
    """Collect the SQL statements of the block, and how it calls Redis: one entry for each round trip."""
    statements: list[str] = []
    redis_calls: list[str] = []
    read, call = Prepared.read, redis_client._Client.call

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def noted_read(self: Prepared, **values: object) -> list[object]:  # the driver executes it, without that event
        statements.append(str(self._build(db.engine.dialect.name)))
        return read(self, **values)

    def noted_call(self: redis_client._Client, send: Callable[[], object]) -> object:
        redis_calls.append(send.__qualname__)
        return call(self, send)

    event.listen(db.engine, "before_cursor_execute", note)
    with patch.object(Prepared, "read", noted_read), patch.object(redis_client._Client, "call", noted_call):
        yield statements, redis_calls
    event.remove(db.engine, "before_cursor_execute", note)


POLLED = [
    ("/inbox", "conv-list", "/inbox/list"),
    ("/inbox/1", "msgs-1", "/inbox/1/messages"),
    ("/jobs", "job-live", "/jobs/live"),
]


@pytest.mark.parametrize(("page", "element", "address"), POLLED)
def test_a_page_that_was_just_loaded_polls_in_vain(ops: FlaskClient, page: str, element: str, address: str) -> None:
    headers = poll_headers(ops.get(page).text, element) | {"HX-Current-URL": f"http://localhost{page}"}
    query = "?new=1" if element == "msgs-1" else ""
    answer = ops.get(address + query, headers=headers)
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"]


@pytest.mark.parametrize(("page", "element", "address"), POLLED)
def test_a_new_message_ends_the_304s(ops: FlaskClient, page: str, element: str, address: str) -> None:
    headers = poll_headers(ops.get(page).text, element)
    people_wrote(LEA)
    assert ops.get(address, headers=headers).status_code == 200


def test_an_unchanged_poll_of_the_list_needs_one_statement_and_one_redis_command(ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with recorded() as (statements, redis_calls):
        answer = ops.get("/inbox/list", headers=headers)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (304, False)
    assert len(redis_calls) == 1
    [statement] = statements
    assert "users" in statement
    assert not any(table in statement for table in ("conversations", "messages"))


def test_an_unchanged_poll_of_a_thread_also_looks_up_its_conversation_and_who_is_present(ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox/1").text, "msgs-1") | {"HX-Current-URL": "http://localhost/inbox/1"}
    with recorded() as (statements, redis_calls):
        answer = ops.get("/inbox/1/messages?new=1", headers=headers)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (304, False)
    assert len(redis_calls) == 2
    session, parties = statements
    assert "users" in session
    assert "FROM conversations" in parties
    assert "messages" not in parties


def test_another_account_s_news_change_nothing_here(ops: FlaskClient) -> None:
    other = an_account(ATELIER_NORD)
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with transaction.write() as tx:
        tx.mark_changed(other.id)
    assert ops.get("/inbox/list", headers=headers).status_code == 304


@pytest.mark.parametrize(("page", "element", "address"), POLLED[:2])
def test_what_a_colleague_reads_ends_the_304s(
    app: Flask, ops: FlaskClient, page: str, element: str, address: str
) -> None:
    headers = poll_headers(ops.get(page).text, element)
    click(signed_in(app, email="colleague@example.com"), "/inbox/1/read")
    assert ops.get(address, headers=headers).status_code == 200


def test_opening_a_conversation_changes_what_the_list_shows(ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list") | {"HX-Current-URL": "http://localhost/inbox/1"}
    answer = ops.get("/inbox/list", headers=headers)
    assert answer.status_code == 200
    assert 'aria-current="true"' in answer.text


def test_a_token_is_good_for_one_account_one_person_one_role_and_one_of_their_days(
    app: Flask, frozen_clock: FrozenClock
) -> None:
    frozen_clock.at = datetime(2026, 11, 20, 14, 59, tzinfo=UTC)
    agent, ops = (Viewer(user_id=2, name="Nadia", role=role) for role in (Role.AGENT, Role.OPS))
    someone_else = Viewer(user_id=3, name="Oskar", role=Role.AGENT)
    with app.test_request_context(headers={"Cookie": "tz=Asia/Tokyo"}):
        asked = [
            (agent, 1, "seven"),
            (agent, 2, "seven"),
            (ops, 1, "seven"),
            (someone_else, 1, "seven"),
            (agent, 1, "eight"),
        ]
        tokens = [conditional.token(viewer, account_id, version) for viewer, account_id, version in asked]
        assert tokens[0] == conditional.token(agent, 1, "seven")
        frozen_clock.forward(minutes=2)  # midnight in Tokyo
        assert len({*tokens, conditional.token(agent, 1, "seven")}) == len(asked) + 1


@pytest.mark.parametrize("query", ["?filter=unread", "?q=lea", "?limit=80"])
def test_another_question_has_another_answer(ops: FlaskClient, query: str) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    assert ops.get(f"/inbox/list{query}", headers=headers).status_code == 200


def test_somebody_else_s_token_brings_the_asker_s_own_data(app: Flask, ops: FlaskClient, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    deliver(a_message_event(CAMILLE, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    answers = {address: part(ops, address) for address in ("/inbox/list", "/jobs/live")}
    assert part(ops, "/inbox/list", If_None_Match=answers["/inbox/list"].headers["ETag"]).status_code == 304
    second = signed_in(app, email="second@example.com")
    with transaction.write() as tx:
        tx.execute(update(User).where(User.email == "second@example.com").values(account_ids=[other.id]))
    for address, seen in answers.items():
        told = part(second, address, If_None_Match=seen.headers["ETag"])
        assert (told.status_code, told.headers["ETag"] == seen.headers["ETag"]) == (200, False), address
    told = part(second, "/inbox/list", If_None_Match=answers["/inbox/list"].headers["ETag"])
    assert f"@user_{LEA[-6:]}" in answers["/inbox/list"].text
    assert f"@user_{LEA[-6:]}" not in told.text
    assert f"@user_{CAMILLE[-6:]}" in told.text
    thread = poll_headers(ops.get("/inbox/1").text, "msgs-1")
    assert ops.get("/inbox/1/messages?new=1", headers=thread).status_code == 304
    assert second.get("/inbox/1/messages?new=1", headers=thread).status_code == 404


def test_without_redis_polls_are_answered_in_full(ops: FlaskClient) -> None:
    people_wrote(CAMILLE)
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        answer = ops.get("/inbox/list", headers=headers)
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
    assert "@user_000011" in answer.text


def test_an_emptied_redis_never_makes_old_news_look_new(ops: FlaskClient, redis: Redis) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    redis.flushall()
    people_wrote(CAMILLE)
    assert ops.get("/inbox/list", headers=headers).status_code == 200


def test_a_poll_of_jobs_tells_once_what_has_ended(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    running = part(ops, "/jobs/live")
    headers = HTMX | {"If-None-Match": running.headers["ETag"]}
    with transaction.write() as tx:
        run = tx.session.get_one(Run, run_id)
        run.state, run.resolved = RunState.DONE, 1
        tx.mark_changed(account.id)
    ended = ops.get("/jobs/live", headers=headers)
    assert "Backfill profiles finished: 1 resolved, 0 failed." in ended.headers["HX-Trigger"]
    again = ops.get("/jobs/live", headers=HTMX | {"If-None-Match": ended.headers["ETag"]})
    assert again.status_code == 304


def test_a_running_job_s_panel_is_shown_anew_as_time_passes(
    ops: FlaskClient, account: Account, frozen_clock: FrozenClock
) -> None:
    frozen_clock.at = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    browser = signed_in(ops.application, email="second@example.com")
    idle = HTMX | {"If-None-Match": part(browser, "/jobs/live").headers["ETag"]}
    frozen_clock.forward(seconds=11)
    assert browser.get("/jobs/live", headers=idle).status_code == 304
    lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    running = HTMX | {"If-None-Match": part(browser, "/jobs/live").headers["ETag"]}
    assert browser.get("/jobs/live", headers=running).status_code == 304
    frozen_clock.forward(seconds=11)
    assert browser.get("/jobs/live", headers=running).status_code == 200


def test_other_contacts_leave_the_open_thread_unchanged(ops: FlaskClient, account: Account, redis: Redis) -> None:
    headers = poll_headers(ops.get("/inbox/1").text, "msgs-1")
    address = "/inbox/1/messages?new=1"
    people_wrote(CAMILLE)
    named(account, CAMILLE, "camille.r")
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    lifecycle.cancel(OPERATOR, run_id)
    assert ops.get(address, headers=headers).status_code == 304
    redis.flushall()
    assert ops.get(address, headers=headers).status_code == 200


@pytest.mark.parametrize("change", ["message", "reaction", "name", "twin", "account"])
def test_what_a_thread_shows_ends_its_304s(ops: FlaskClient, account: Account, change: str) -> None:
    named(account, LEA, "lea.moreau")
    headers = poll_headers(ops.get("/inbox/1").text, "msgs-1")
    if change == "message":
        people_wrote(LEA)
    elif change == "reaction":
        mid = db.session.scalars(select(Message.mid)).one()
        reaction = {"mid": mid, "action": "react", "emoji": "❤️", "reaction": "love"}
        deliver({"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": now_ms(), "reaction": reaction})
    elif change == "name":
        named(account, LEA, "lea.renamed")
    elif change == "twin":  # another contact whose name looks the same changes how this one is shown
        people_wrote(CAMILLE)
        named(account, CAMILLE, "Iea.moreau")
    else:
        with transaction.write() as tx:
            tx.mark_changed(account.id)
    assert ops.get("/inbox/1/messages?new=1", headers=headers).status_code == 200


def now_ms() -> int:
    """Return the time as Meta writes it."""
    return int(clock.now().timestamp() * 1000)
