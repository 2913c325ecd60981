"""Unchanged polls: 304 without reading a row, and never when something changed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import event

from app import settings
from app.db import transaction
from app.db.engine import db
from app.models.inbox import Account
from app.models.run import Kind, Run, RunState
from app.runs import plan
from app.viewer import OPERATOR
from tests.cast import ATELIER_NORD, CAMILLE, LEA, an_account, people_wrote
from tests.web.browsing import HTMX, part, poll_headers, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def ops(app: Flask, account: Account) -> FlaskClient:
    people_wrote(LEA)
    return signed_in(app)


@contextmanager
def queries(app: Flask) -> Iterator[list[str]]:
    """Collect the SQL that runs inside the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
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


def test_an_unchanged_poll_touches_no_conversation(app: Flask, ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with queries(app) as seen:
        assert ops.get("/inbox/list", headers=headers).status_code == 304
    assert sum(statement.startswith("SELECT") for statement in seen) <= 2
    assert not any("conversations" in statement or "messages" in statement for statement in seen)


def test_another_account_s_news_change_nothing_here(ops: FlaskClient) -> None:
    other = an_account(ATELIER_NORD)
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    with transaction.write() as tx:
        tx.touch(other.id)
    assert ops.get("/inbox/list", headers=headers).status_code == 304


@pytest.mark.parametrize("query", ["?filter=unread", "?q=lea", "?limit=80"])
def test_another_question_has_another_answer(ops: FlaskClient, query: str) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    assert ops.get(f"/inbox/list{query}", headers=headers).status_code == 200


def test_somebody_else_s_token_is_worth_nothing(app: Flask, ops: FlaskClient) -> None:
    headers = poll_headers(ops.get("/inbox").text, "conv-list")
    other = signed_in(app, email="second@example.com")
    assert other.get("/inbox/list", headers=headers).status_code == 200


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
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    running = part(ops, "/jobs/live")
    headers = HTMX | {"If-None-Match": running.headers["ETag"]}
    with transaction.write() as tx:
        run = tx.session.get_one(Run, run_id)
        run.state, run.resolved = RunState.DONE, 1
        tx.touch(account.id)
    ended = ops.get("/jobs/live", headers=headers)
    assert "Backfill profiles: 1 resolved, 0 failed." in ended.headers["HX-Trigger"]
    again = ops.get("/jobs/live", headers=HTMX | {"If-None-Match": ended.headers["ETag"]})
    assert again.status_code == 304
