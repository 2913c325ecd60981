"""Jobs by button: started once, watched, cancelled, retried."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.models.inbox import Account
from app.models.run import Kind, Run, RunState
from app.models.user import User
from app.runs import execute, ledger, plan
from app.viewer import OPERATOR, Role
from tests.bed.processes import Sandbox
from tests.cast import (
    ATELIER_NORD,
    CAMILLE,
    GHOST,
    LEA,
    MAISON_LUNE,
    SHY,
    a_sandbox_account,
    an_account,
    people_wrote,
)
from tests.runs.test_plan import run_of
from tests.web.browsing import click, part, poll_headers, signed_in


@pytest.fixture
def account(meta: Sandbox) -> Account:
    people = a_sandbox_account()
    people_wrote(SHY, GHOST, CAMILLE, LEA)
    return people


@pytest.fixture
def ops(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app)


def toast(answer: TestResponse) -> str:
    return str(json.loads(answer.headers["HX-Trigger"])["toast"]["text"])


def test_the_button_starts_a_backfill_and_shows_it(ops: FlaskClient, redis: Redis) -> None:
    answer = click(ops, "/jobs/backfill", account=MAISON_LUNE)
    assert answer.status_code == 200
    assert toast(answer) == "Backfill profiles has started."
    assert "Backfill profiles" in answer.text
    assert "of 4 conversations" in answer.text
    assert 'hx-trigger="every 1500ms' in answer.text
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}") == 1


def test_a_second_start_names_the_running_one(ops: FlaskClient) -> None:
    click(ops, "/jobs/refresh", account=MAISON_LUNE)
    run_id = re.search(r"/jobs/([0-9a-f]{12})/cancel", ops.get("/jobs").text)
    assert run_id
    answer = click(ops, "/jobs/refresh", account=MAISON_LUNE)
    assert answer.status_code == 409
    assert run_id[1] in toast(answer)


@pytest.mark.parametrize("address", ["/jobs/backfill", "/jobs/refresh", "/jobs/0123456789ab/cancel"])
def test_a_job_is_started_and_ended_by_post_with_a_token_alone(ops: FlaskClient, address: str) -> None:
    assert ops.get(address).status_code in (404, 405)
    assert ops.post(address, data={"account": MAISON_LUNE}).status_code == 400
    assert "No job is running." in ops.get("/jobs").text


@pytest.mark.parametrize("address", ["/jobs/backfill", "/jobs/refresh", "/jobs/{run}/cancel", "/jobs/{run}/retry"])
def test_agents_watch_only(app: Flask, account: Account, address: str) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    agent = signed_in(app, Role.AGENT)
    assert click(agent, address.format(run=run_id), account=MAISON_LUNE).status_code == 403
    assert "of 4 conversations" in agent.get("/jobs").text
    assert "<form" not in part(agent, "/jobs/live").text


def test_a_job_is_started_for_the_account_that_is_chosen_and_shown_at_every_one(
    ops: FlaskClient, account: Account
) -> None:
    other = an_account(ATELIER_NORD)
    click(ops, "/jobs/refresh", account=ATELIER_NORD)
    db.session.rollback()
    assert db.session.scalars(select(Run.account_id)).all() == [other.id]
    for address in ("/jobs", f"/jobs?account={ATELIER_NORD}"):
        assert "Refresh identities</strong> <bdi>atelier.nord" in ops.get(address).text


def test_jobs_of_other_accounts_are_not_found(app: Flask, account: Account) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    other = an_account(ATELIER_NORD)
    elsewhere = signed_in(app)
    with transaction.write() as tx:
        tx.execute(update(User).values(account_ids=[other.id]))
    for action in ("cancel", "retry"):
        assert click(elsewhere, f"/jobs/{run_id}/{action}").status_code == 404
    assert click(elsewhere, "/jobs/refresh", account=MAISON_LUNE).status_code == 404
    for address in ("/jobs", "/jobs/live", "/jobs/unresolved", "/jobs/history"):
        assert part(elsewhere, f"{address}?account={MAISON_LUNE}").status_code == 404
        assert run_id not in part(elsewhere, address).text
    assert run_of(run_id).state is RunState.QUEUED


def test_the_panel_counts_what_became_of_people(ops: FlaskClient, account: Account) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    with transaction.write() as tx:
        at_work = {"state": RunState.RUNNING, "resolved": 2, "failed": 1, "calls": 3, "worked_seconds": 1.5}
        tx.execute(update(Run).where(Run.id == run_id).values(**at_work))
    panel = " ".join(re.sub(r"<[^>]+>", " ", part(ops, "/jobs/live").text).split())
    for words in ("3 of 4 conversations", "75%", "Resolved 2", "Failed 1", "Waiting 1", "2.0 a second"):
        assert words in panel


def test_a_paused_run_says_until_when_and_why(ops: FlaskClient, account: Account, meta: Sandbox) -> None:
    meta.post("faults", mode="4")
    execute.run_slice(plan.start(OPERATOR, account.id, kind=Kind.BACKFILL))
    panel = part(ops, "/jobs/live").text
    assert "Paused until" in panel
    assert "It goes on by itself." in panel


def test_cancelling_ends_a_run_and_says_so(ops: FlaskClient, account: Account) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    ledger.take(run_id, who="a worker")
    answer = click(ops, f"/jobs/{run_id}/cancel")
    assert toast(answer) == "The job ends after the present person."
    assert run_of(run_id).state is RunState.CANCELING


def test_who_was_not_resolved_is_listed_and_tried_again(ops: FlaskClient, account: Account) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    execute.run_slice(run_id)
    page = ops.get("/jobs").text
    assert "@user_000404" in page
    assert "@user_000230" in page
    assert "Retry 1 that can recover" in page
    assert "Some failed" in page
    assert page.count('class="table-link">Retry') == 1
    answer = click(ops, f"/jobs/{run_id}/retry")
    assert toast(answer).startswith("Retrying 1 contact. Left out 1 contact: ")
    assert run_of(run_id).failed == 1


def test_more_than_a_few_who_were_not_resolved_are_shown_on_demand(ops: FlaskClient, account: Account) -> None:
    people_wrote(*(str(1520000000009000 + number) for number in range(7)))
    execute.run_slice(plan.start(OPERATOR, account.id, kind=Kind.BACKFILL))
    few = part(ops, "/jobs/unresolved").text
    assert few.count("<tr>") == 1 + 5
    assert "Show 4 more" in few
    assert part(ops, "/jobs/unresolved?show=all").text.count("<tr>") == 1 + 9


def test_what_a_job_costs_is_said_before_it_starts(ops: FlaskClient, account: Account) -> None:
    shown = ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=recent&days=3&batchSize=5").text
    assert "Start for 4 people" in shown
    assert re.search(r"API calls, about</dt><dd>[1-4]<", shown)
    for name, value in (("days", "3"), ("batchSize", "5"), ("account", MAISON_LUNE)):
        assert f'<input type="hidden" name="{name}" value="{value}">' in shown
    answer = click(ops, "/jobs/backfill", htmx=False, account=MAISON_LUNE, days="3", batchSize="5")
    assert answer.headers["Location"] == f"/jobs?account={MAISON_LUNE}"
    started = db.session.execute(select(Run.days, Run.batch_size)).one()
    assert tuple(started) == (3, 5)


@pytest.mark.parametrize(("query", "sentence"), [("scope=recent&days=91", "from 1 to 90"), ("batchSize=x", "1 to 100")])
def test_impossible_options_are_refused_in_their_form(ops: FlaskClient, query: str, sentence: str) -> None:
    answer = ops.get(f"/jobs/new?{query}")
    assert answer.status_code == 422
    assert answer.text.count(sentence) > 1
    assert "Start for" not in answer.text


def test_a_poll_tells_of_quarters_of_failures_and_of_the_end(ops: FlaskClient, account: Account) -> None:
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    first = part(ops, "/jobs/live")
    assert "HX-Trigger" not in first.headers
    with transaction.write() as tx:
        values = {"state": RunState.RUNNING, "resolved": 1, "failed": 1}
        tx.execute(update(Run).where(Run.id == run_id).values(**values))
        tx.touch(account.id)
    half = ops.get("/jobs/live", headers=poll_headers(first.text, "job-live"))
    told = json.loads(half.headers["HX-Trigger"])
    assert told == {"announce": {"text": "Backfill profiles: 50 % done, 2 of 4."}, "jobs:failed": True}
    with transaction.write() as tx:
        ended = {"state": RunState.DONE, "resolved": 3, "finished_at": clock.now()}
        tx.execute(update(Run).where(Run.id == run_id).values(**ended))
        tx.touch(account.id)
    last = ops.get("/jobs/live", headers=poll_headers(half.text, "job-live"))
    assert toast(last) == "Backfill profiles finished: 3 resolved, 1 failed."
    assert "Some failed" in last.text
    assert 'hx-trigger="every 15s' in last.text


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_job_that_does_not_exist_is_not_found(ops: FlaskClient, action: str) -> None:
    assert click(ops, f"/jobs/0123456789ab/{action}").status_code == 404
