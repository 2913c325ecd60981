"""The Jobs page: jobs are started once, followed, canceled and retried."""

import json
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app import clock, queue, settings
from app.calls import budget
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import Account, AccountState
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.models.run import ItemState, Run, RunKind, RunState
from app.models.user import User
from app.runs import items, leases, lifecycle, progress, runner
from app.viewer import OPERATOR, Role
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    GHOST,
    LEA,
    MAISON_LUNE,
    RUI,
    SHY,
    a_sandbox_account,
    an_account,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.runs import run_of, settle, without_page_scan
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
    assert toast(answer) == "Backfill profiles queued."
    assert "Backfill profiles" in answer.text
    assert "of 4 contacts" in answer.text
    assert 'hx-trigger="every 1.5s' in answer.text
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}") == 1


def test_a_second_start_names_the_job_that_has_not_ended(ops: FlaskClient, frozen_clock: FrozenClock) -> None:
    frozen_clock.at = frozen_clock.at.replace(hour=4, minute=3)
    click(ops, "/jobs/refresh", account=MAISON_LUNE)
    run_id = re.search(r"/jobs/([0-9a-f]{12})/cancel", ops.get("/jobs").text)
    assert run_id
    answer = click(ops, "/jobs/refresh", account=MAISON_LUNE)
    assert answer.status_code == 409
    started_at = f"{frozen_clock.at:%Y-%m-%d} 04:03 UTC"
    assert toast(answer).startswith(f"Refresh identities, started at {started_at}, has not ended (job {run_id[1]}).")


@pytest.mark.parametrize("address", ["/jobs/backfill", "/jobs/refresh", "/jobs/0123456789ab/cancel"])
def test_a_job_is_started_and_ended_by_post_with_a_token_alone(ops: FlaskClient, address: str) -> None:
    assert ops.get(address).status_code in (404, 405)
    assert ops.post(address, data={"account": MAISON_LUNE}).status_code == 400
    assert "No job is running." in ops.get("/jobs").text


@pytest.mark.parametrize("address", ["/jobs/backfill", "/jobs/refresh", "/jobs/{run}/cancel", "/jobs/{run}/retry"])
def test_agents_watch_only(app: Flask, account: Account, address: str) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    agent = signed_in(app, Role.AGENT)
    assert click(agent, address.format(run=run_id), account=MAISON_LUNE).status_code == 403
    assert "of 4 contacts" in agent.get("/jobs").text
    assert "<form" not in part(agent, "/jobs/live").text


def test_a_job_is_started_for_the_account_that_is_chosen_and_shown_at_every_one(
    ops: FlaskClient, account: Account
) -> None:
    other = an_account(ATELIER_NORD)
    click(ops, "/jobs/refresh", account=ATELIER_NORD)
    db.session.rollback()
    assert db.session.scalars(select(Run.account_id)).all() == [other.id]
    for address in ("/jobs", f"/jobs?account={ATELIER_NORD}"):
        assert "Refresh identities</strong></a> <bdi>atelier.nord" in ops.get(address).text


def test_jobs_of_other_accounts_are_not_found(app: Flask, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
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
    run_id = without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    with transaction.write() as tx:
        at_work = {"state": RunState.RUNNING, "resolved": 2, "failed": 1, "calls": 3, "worked_seconds": 1.5}
        tx.execute(update(Run).where(Run.id == run_id).values(**at_work))
    panel = " ".join(re.sub(r"<[^>]+>", " ", part(ops, "/jobs/live").text).split())
    for words in ("3 of 4 contacts", "75%", "Resolved 2", "Failed 1", "Remaining 1", "2.0 per second"):
        assert words in panel


def test_a_paused_run_says_until_when_and_why(ops: FlaskClient, account: Account, meta: Sandbox) -> None:
    meta.post("faults", mode="4")
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    panel = part(ops, "/jobs/live").text
    assert "Paused until" in panel
    assert "The job resumes automatically." in panel
    assert ", 1 of 200 calls used" not in panel  # one cause: the budget is not it


def test_a_job_paused_by_the_budget_names_the_reserve_and_when_a_call_frees_up(
    ops: FlaskClient, account: Account
) -> None:
    with settings.using(graph_calls_per_hour=5):
        for _ in range(4):
            budget.spend(account.id, call=budget.PROFILE, purpose=Purpose.BACKFILL)
        runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
        page = ops.get(f"/jobs?account={account.ig_account_id}").text
    assert "the rest of the API call budget is reserved for contacts who write" in page
    assert "Next call frees up at" in page


def test_a_job_that_waits_for_an_access_token_says_who_can_reconnect(app: Flask, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        dead = {"state": AccountState.RECONNECT, "state_reason": "This token is damaged"}
        tx.execute(update(Account).where(Account.id == account.id).values(**dead))
    runner.run_slice(run_id)
    panel = part(signed_in(app, Role.ADMIN), "/jobs/live").text
    assert "Waiting for a working access token" in panel
    assert f'href="/accounts#account-{MAISON_LUNE}">Reconnect maison.lune</a>' in panel
    assert "Paused until" not in panel
    assert re.search(r"Time left</dt><dd>—<", panel)
    assert "Ask an admin to reconnect" in part(signed_in(app, Role.OPS), "/jobs/live").text


def test_a_pause_that_is_over_names_no_past_time(ops: FlaskClient, account: Account, meta: Sandbox) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        over = {"state": RunState.WAITING, "resume_at": clock.now() - timedelta(minutes=1)}
        tx.execute(update(Run).where(Run.id == run_id).values(**over))
    panel = part(ops, "/jobs/live").text
    assert "Resumes in a few seconds" in panel
    assert "Paused until" not in panel


def test_a_job_that_reads_conversations_shows_its_page(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        reading = {"state": RunState.RUNNING, "scan_pages": 41, "scanned_pages": 11}
        tx.execute(update(Run).where(Run.id == run_id).values(**reading))
    panel = part(ops, "/jobs/live").text
    assert "Reading conversations, page 12 of 41" in panel
    assert re.search(r"Looking up</dt><dd>—<", panel)
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(scanned_pages=41))
    assert "Reading conversations" not in part(ops, "/jobs/live").text


def test_cancelling_ends_a_run_and_says_so(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    leases.take(run_id, who="a worker")
    answer = click(ops, f"/jobs/{run_id}/cancel")
    assert toast(answer) == "Canceling. The job stops after the current contact."
    assert run_of(run_id).state is RunState.CANCELING


def test_who_was_not_resolved_is_listed_and_tried_again(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    page = ops.get("/jobs").text
    assert "@user_000404" in page
    assert "@user_000230" in page
    assert "Retry 1 that may succeed" in page
    assert "Some failed" in page
    assert page.count('class="table-link">Retry') == 1
    answer = click(ops, f"/jobs/{run_id}/retry")
    assert toast(answer).startswith("Retrying 1 contact. Left out 1 contact: ")
    assert run_of(run_id).failed == 1


def test_more_than_a_few_who_were_not_resolved_are_shown_on_demand(ops: FlaskClient, account: Account) -> None:
    people_wrote(*(str(1520000000009000 + number) for number in range(7)))
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    few = part(ops, "/jobs/unresolved").text
    assert few.count("<tr>") == 1 + 3 + 1
    assert "Show 5 more" in few
    assert part(ops, "/jobs/unresolved?show=all").text.count("<tr>") == 1 + 9


def test_contacts_not_resolved_are_grouped_by_reason_the_largest_group_first(
    ops: FlaskClient, account: Account
) -> None:
    people_wrote(*(str(1520000000009000 + number) for number in range(7)))
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    shown = " ".join(part(ops, "/jobs/unresolved").text.split())
    heads = re.findall(r'scope="rowgroup" colspan="3">([^<]+)<.*?card-note">([^<]+)<', shown)
    assert [contacts for _, contacts in heads] == ["8 contacts", "1 contact"]
    assert all(shown.count(reason.strip()) == 1 for reason, _ in heads)


def test_what_a_job_costs_is_said_before_it_starts(ops: FlaskClient, account: Account) -> None:
    shown = ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=recent&days=3&batchSize=5").text
    assert "Start for 4 contacts" in shown
    assert re.search(r"API calls \(estimated\)</dt>\s*<dd>[1-4] ", shown)
    for name, value in (("days", "3"), ("batchSize", "5"), ("account", MAISON_LUNE)):
        assert f'<input type="hidden" name="{name}" value="{value}">' in shown
    answer = click(ops, "/jobs/backfill", htmx=False, account=MAISON_LUNE, days="3", batchSize="5")
    assert answer.headers["Location"] == f"/jobs?account={MAISON_LUNE}"
    assert "Backfill profiles queued." in ops.get(answer.headers["Location"]).text
    started = db.session.execute(select(Run.days, Run.batch_size)).one()
    assert tuple(started) == (3, 5)


@pytest.mark.parametrize(("query", "sentence"), [("scope=recent&days=91", "from 1 to 90"), ("batchSize=x", "1 to 100")])
def test_impossible_options_are_refused_in_their_form(ops: FlaskClient, query: str, sentence: str) -> None:
    answer = ops.get(f"/jobs/new?{query}")
    assert answer.status_code == 422
    assert answer.text.count(sentence) > 1
    assert "Start for" not in answer.text


def test_a_poll_tells_of_quarters_of_failures_and_of_the_end(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    first = part(ops, "/jobs/live")
    assert "HX-Trigger" not in first.headers
    with transaction.write() as tx:
        values = {"state": RunState.RUNNING, "resolved": 1, "failed": 1}
        tx.execute(update(Run).where(Run.id == run_id).values(**values))
        tx.mark_changed(account.id)
    half = ops.get("/jobs/live", headers=poll_headers(first.text, "job-live"))
    told = json.loads(half.headers["HX-Trigger"])
    assert told == {"announce": {"text": "Backfill profiles: 50% done, 2 of 4."}, "jobs:failed": True}
    with transaction.write() as tx:
        ended = {"state": RunState.DONE, "resolved": 3, "finished_at": clock.now()}
        tx.execute(update(Run).where(Run.id == run_id).values(**ended))
        tx.mark_changed(account.id)
    last = ops.get("/jobs/live", headers=poll_headers(half.text, "job-live"))
    assert toast(last) == "Backfill profiles finished: 3 resolved, 1 failed."
    assert "Some failed" in last.text
    assert 'hx-trigger="every 15s' in last.text


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_job_that_does_not_exist_is_not_found(ops: FlaskClient, action: str) -> None:
    assert click(ops, f"/jobs/0123456789ab/{action}").status_code == 404


def test_contacts_not_resolved_name_their_job_and_stay_when_another_starts(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    shown = part(ops, "/jobs/unresolved").text
    assert "Backfill profiles, <bdi>maison.lune</bdi>," in shown
    assert "@user_000404" in shown


def test_each_job_in_the_history_leads_to_its_contacts_not_resolved(ops: FlaskClient, account: Account) -> None:
    first = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(first)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    address = f"/jobs/unresolved?job={first}"
    assert f'hx-get="{address}"' in part(ops, "/jobs/history").text
    shown = part(ops, address).text
    assert "Backfill profiles, <bdi>maison.lune</bdi>," in shown
    assert f'hx-get="{address}"' in shown  # a later update keeps the choice
    assert part(ops, "/jobs/unresolved?job=0123456789ab").status_code == 404


def test_the_row_of_a_contact_that_is_retried_follows_the_lookup(
    ops: FlaskClient, account: Account, frozen_clock: FrozenClock
) -> None:
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    frozen_clock.forward(seconds=31)
    ghost = db.session.scalars(select(Identity.id).where(Identity.ig_participant_id == GHOST)).one()
    answer = click(ops, f"/identities/{ghost}/refresh")
    assert json.loads(answer.headers["HX-Trigger"])["refresh:queued"] is True
    waiting = part(ops, "/jobs/unresolved").text
    assert "Looking up now" in waiting
    assert "every 2s" in waiting
    assert "that can recover" not in waiting
    seen = ProfileObservation(GHOST, "the.ghost", None, None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    done = part(ops, "/jobs/unresolved").text
    assert "Resolved since" in done
    assert "the.ghost" in done
    assert "every 2s" not in done


def test_a_retry_of_a_canceled_job_says_what_else_resumes_and_keeps_its_row(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease
    settle(lease, GHOST, items.ItemOutcome(ItemState.FAILED, reason="timeout", code="timeout"))
    click(ops, f"/jobs/{run_id}/cancel")
    leases.release(lease)
    ended_at = run_of(run_id).finished_at
    assert toast(click(ops, f"/jobs/{run_id}/retry")) == "Retrying 1 contact and finishing 3 waiting."
    history = part(ops, "/jobs/history").text
    assert history.count("Backfill profiles") == 1
    assert "Queued" in history
    assert run_of(run_id).finished_at == ended_at
    assert run_of(run_id).state is RunState.QUEUED


def test_a_contact_whose_tries_are_used_up_is_explained_instead_of_retried(ops: FlaskClient, account: Account) -> None:
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    with transaction.write() as tx:
        tx.execute(update(Identity).values(failure_count=5, next_try_at=None))
    shown = part(ops, "/jobs/unresolved").text
    assert "5 of 5" in shown
    assert 'class="table-link">Retry' not in shown
    assert shown.count("Why?") == 2


def test_skipped_contacts_are_explained_and_counted_in_the_history(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(skipped=3))
    panel = part(ops, "/jobs/live").text
    assert "3 skipped: 5 lookups in a row failed" in panel
    assert "<strong>0</strong> of 1 contact " in panel  # what is skipped is no progress
    assert ">0%<" in panel
    click(ops, f"/jobs/{run_id}/cancel")
    assert 'data-label="Skipped">3<' in part(ops, "/jobs/history").text


def test_agents_see_the_cost_of_a_job_and_who_may_start_one(app: Flask, account: Account) -> None:
    shown = signed_in(app, Role.AGENT).get(f"/jobs/new?account={MAISON_LUNE}").text
    assert "Only ops and admins can start a job." in shown
    assert "Start for" not in shown


def test_an_idle_page_of_a_busy_account_reads_its_tables_when_a_job_ended(ops: FlaskClient, account: Account) -> None:
    page = ops.get("/jobs")
    people_wrote(RUI)
    busy = ops.get("/jobs/live", headers=poll_headers(page.text, "job-live"))
    assert (busy.status_code, "HX-Trigger" in busy.headers) == (200, False)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    ended = ops.get("/jobs/live", headers=poll_headers(busy.text, "job-live"))
    assert json.loads(ended.headers["HX-Trigger"]) == {"jobs:changed": True}
    people_wrote(RUI)
    later = ops.get("/jobs/live", headers=poll_headers(ended.text, "job-live"))
    assert (later.status_code, "HX-Trigger" in later.headers) == (200, False)


def test_each_job_has_a_page_with_its_contacts_and_counts(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    whole = ops.get(f"/jobs/{run_id}").text
    for words in ("Reasons", "Retry this reason (1)", "Contacts", "@user_000011</bdi> →", "lea.moreau"):
        assert words in whole
    assert f'href="/jobs/{run_id}/items.csv"' in whole
    failed = ops.get(f"/jobs/{run_id}?state=failed&reason=consent").text
    assert f"user_{SHY[-6:]}" in failed.partition('id="job-contacts"')[2]
    assert "lea.moreau" not in failed.partition('id="job-contacts"')[2]
    assert "No match for “zzz”." in ops.get(f"/jobs/{run_id}?q=zzz").text
    for wrong in ("state=x", "reason=x"):
        assert ops.get(f"/jobs/{run_id}?{wrong}").status_code == 422
    assert ops.get("/jobs/0123456789ab").status_code == 404
    assert f'href="/jobs/{run_id}"' in ops.get("/jobs").text


def test_the_contacts_of_a_job_are_followed_until_something_changes(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    for address, element_id in ((f"/jobs/{run_id}", "job-items"), (f"/jobs/{run_id}/live", "job-live")):
        shown = part(ops, address)
        assert "<html" not in shown.text
        again = ops.get(address, headers=poll_headers(shown.text, element_id))
        assert again.status_code == 304
    lifecycle.cancel(OPERATOR, run_id)
    assert part(ops, f"/jobs/{run_id}/live").status_code == 200
    assert "Canceled" in part(ops, f"/jobs/{run_id}/live").text


def test_a_job_is_paused_and_resumed_on_its_page_and_in_the_list(ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    paused = click(ops, f"/jobs/{run_id}/pause", view="job")
    assert "Paused by Ops" in paused.text
    assert f'hx-get="/jobs/{run_id}/live"' in paused.text
    second = click(ops, "/jobs/backfill", account=MAISON_LUNE)
    assert second.status_code == 409
    assert f"is paused (job {run_id})" in toast(second)
    assert "Paused by Ops" in ops.get("/jobs").text
    resumed = click(ops, f"/jobs/{run_id}/resume")
    assert toast(resumed) == "Resumed."
    assert 'hx-get="/jobs/live' in resumed.text
    without_scripts = click(ops, f"/jobs/{run_id}/pause", htmx=False, view="job")
    assert without_scripts.headers["Location"] == f"/jobs/{run_id}"
    assert "Paused. No other job" in ops.get(f"/jobs/{run_id}").text


def test_the_contacts_of_a_job_are_exported_by_ops(app: Flask, ops: FlaskClient, account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    answer = ops.get(f"/jobs/{run_id}/items.csv?state=todo")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="job-{run_id}.csv"'
    assert answer.text.count("\r\n") == 5
    agent = signed_in(app, Role.AGENT)
    assert agent.get(f"/jobs/{run_id}/items.csv").status_code == 403
    shown = agent.get(f"/jobs/{run_id}").text
    assert "Export CSV" not in shown
    assert "/pause" not in shown


def test_admins_get_from_a_job_to_its_audit_entries_and_its_task_and_back(app: Flask, account: Account) -> None:
    admin = signed_in(app, Role.ADMIN)
    click(admin, "/jobs/backfill", account=MAISON_LUNE)
    db.session.rollback()
    run_id = db.session.scalars(select(Run.id)).one()
    shown = admin.get(f"/jobs/{run_id}").text
    assert f'href="/audit?subject=job+{run_id}"' in shown
    entries = admin.get(f"/audit?subject=job+{run_id}").text
    assert "Started a job" in entries.partition("<tbody>")[2]
    assert "Added a user" not in entries.partition("<tbody>")[2]
    assert f'href="/admin/queues/0/view/job/{run_id}"' in shown
    assert f'href="/jobs/{run_id}"' in admin.get(f"/admin/queues/0/view/job/{run_id}").text


def test_the_plan_stands_under_both_buttons_and_before_the_start(ops: FlaskClient) -> None:
    for address in (f"/jobs?account={MAISON_LUNE}", f"/jobs/new?account={MAISON_LUNE}"):
        shown = ops.get(address).text
        assert "4 have not been looked up yet</a>" in shown
        assert f"/identities?state=unknown&amp;reason=never_tried&amp;account={MAISON_LUNE}" in shown


def test_a_backfill_that_can_name_no_contact_is_off_and_can_be_started_all_the_same(
    ops: FlaskClient, account: Account
) -> None:
    refused = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
    with transaction.write() as tx:
        for who in (SHY, GHOST, CAMILLE, LEA):
            observations.record_failure(tx, account.id, who, refused, at=clock.now(), raw=None)
    shown = ops.get(f"/jobs/new?account={MAISON_LUNE}").text
    assert "disabled>No contact can be named now" in shown
    assert "No unknown contact can be named now" in ops.get("/jobs").text
    anyway = ops.get(f"/jobs/new?account={MAISON_LUNE}&scope=filter&state=unknown").text
    assert "Start for 4 contacts" in anyway


def test_older_jobs_follow_page_by_page(ops: FlaskClient, account: Account, frozen_clock: FrozenClock) -> None:
    for _ in range(progress.HISTORY_ROWS + 1):
        frozen_clock.forward(minutes=1)
        lifecycle.cancel(OPERATOR, lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    first = ops.get("/jobs/history", headers={"HX-Request": "true"}).text
    older = re.search(r'hx-get="(/jobs/history\?before=\d+)"', first)
    assert older
    assert first.count("<tr>") == progress.HISTORY_ROWS + 1
    rest = part(ops, older[1]).text
    assert rest.count("<tr>") == 2
    assert "Older jobs" not in rest
