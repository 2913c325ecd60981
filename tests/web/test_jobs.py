"""Jobs by button: started once, watched, cancelled, retried."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app import queue
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
from tests.web.browsing import click, part, signed_in


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


def test_a_job_is_started_for_the_account_that_is_chosen(ops: FlaskClient, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    click(ops, "/jobs/refresh", account=ATELIER_NORD)
    db.session.rollback()
    assert db.session.scalars(select(Run.account_id)).all() == [other.id]
    assert "No job has ended" in ops.get("/jobs").text
    assert "No job has ended" not in ops.get(f"/jobs?account={ATELIER_NORD}").text


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
    answer = click(ops, f"/jobs/{run_id}/retry")
    assert toast(answer) == "Trying 2 people again."


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_job_that_does_not_exist_is_not_found(ops: FlaskClient, action: str) -> None:
    assert click(ops, f"/jobs/0123456789ab/{action}").status_code == 404
