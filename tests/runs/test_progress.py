"""The progress of jobs, for pages, commands and API."""

import json
import re
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from app import clock, settings
from app.calls import budget
from app.db import transaction
from app.errors import NotFound
from app.models.account import Account
from app.models.call import Purpose
from app.models.run import ItemState, Run, RunKind, RunState
from app.runs import items, leases, lifecycle, progress, retries
from app.viewer import OPERATOR, Role, Viewer
from tests.calls.lookups import made
from tests.factories import ATELIER_NORD, CAMILLE, GHOST, LEA, MAISON_LUNE, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.runs import without_page_scan


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def run_id(account: Account) -> str:
    people_wrote(LEA, CAMILLE, GHOST, SHY)
    return without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))


def changed(run_id: str, **values: object) -> None:
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(**values))


def test_a_queued_run_has_everyone_waiting(run_id: str) -> None:
    seen = progress.get_progress(OPERATOR, run_id)
    assert (seen.state, seen.active, seen.title, seen.account) == ("queued", True, "Backfill profiles", "maison.lune")
    assert (seen.total, seen.settled, seen.waiting, seen.percent) == (4, 0, 4, 0)
    assert (seen.now, seen.per_second, seen.cache_percent) == (None, None, None)


def test_a_running_job_shows_the_present_contact_and_its_speed(run_id: str) -> None:
    leases.take(run_id, who="here")
    changed(run_id, resolved=1, failed=1, skipped=1, calls=1, cache_hits=1, worked_seconds=0.5)
    seen = progress.get_progress(OPERATOR, run_id)
    assert (seen.now, seen.per_second, seen.percent, seen.cache_percent) == (SHY, 4.0, 66, 50)
    assert seen.seconds_left == 1


def test_the_rate_of_a_running_job_is_that_of_the_contacts_left(run_id: str) -> None:
    # 400 fresh contacts took no time; each of the 10 that were looked up took 1.6 seconds, as the 10 left will.
    leases.take(run_id, who="here")
    changed(run_id, total=420, fresh=400, resolved=10, calls=10, worked_seconds=16)
    running = progress.get_progress(OPERATOR, run_id)
    assert (running.waiting, running.seconds_left) == (10, 16)
    assert running.per_second == pytest.approx(10 / 16)
    changed(run_id, state=RunState.PAUSED)
    assert progress.get_progress(OPERATOR, run_id).per_second is None
    changed(run_id, state=RunState.DONE, resolved=20, worked_seconds=32)
    assert progress.get_progress(OPERATOR, run_id).per_second == pytest.approx(420 / 32)


def test_hundred_percent_only_when_all_is_settled(run_id: str) -> None:
    changed(run_id, total=1000, resolved=999)
    assert progress.get_progress(OPERATOR, run_id).percent == 99


def test_the_time_left_counts_the_pauses_for_the_budget(run_id: str, account: Account) -> None:
    with settings.using(graph_calls_per_hour=5):
        made(account.id, 3, ago_seconds=3000, purpose=Purpose.BACKFILL)
        left = progress.get_progress(OPERATOR, run_id).seconds_left
    assert left is not None
    assert 580 < left < 700


@pytest.mark.parametrize(("people", "hours"), [(4, 0), (5, 1), (8, 1), (9, 2), (17, 4)])
def test_what_does_not_fit_into_an_hour_waits_for_the_next(run_id: str, people: int, hours: int) -> None:
    changed(run_id, total=people)
    with settings.using(graph_calls_per_hour=5):  # of which one is kept for live traffic
        left = progress.get_progress(OPERATOR, run_id).seconds_left
    assert left is not None
    assert 0 <= left - hours * budget.WINDOW_SECONDS < 60


def test_a_run_waits_for_earlier_calls_and_then_for_its_own(run_id: str, account: Account) -> None:
    changed(run_id, total=8)
    with settings.using(graph_calls_per_hour=5):
        made(account.id, 3, ago_seconds=3000, purpose=Purpose.BACKFILL)
        left = progress.get_progress(OPERATOR, run_id).seconds_left
    assert left is not None
    assert 580 < left - budget.WINDOW_SECONDS < 700


def test_a_pause_grows_when_contacts_who_write_use_the_calls_that_the_job_waits_for(
    run_id: str, account: Account
) -> None:
    changed(run_id, state=RunState.WAITING, resume_at=clock.now() + timedelta(minutes=1))
    made(account.id, 200, ago_seconds=600, purpose=Purpose.LIVE)
    resumes = progress.get_progress(OPERATOR, run_id).resume_at
    assert resumes
    assert resumes - clock.now() > timedelta(minutes=45)


def test_the_time_left_is_unknown_without_redis(run_id: str) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        assert progress.get_progress(OPERATOR, run_id).seconds_left is None


def test_a_job_that_no_worker_takes_shows_it(run_id: str, frozen_clock: FrozenClock) -> None:
    frozen_clock.forward(seconds=31)
    assert progress.get_progress(OPERATOR, run_id).state == "worker_missing"
    leases.take(run_id, who="here")
    assert progress.get_progress(OPERATOR, run_id).state == "running"


def test_a_retried_run_has_waited_only_since_the_retry(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = leases.take(run_id, who="here")
    assert lease is not None
    with transaction.write() as tx:
        for person in items.due(lease):
            items.settle(tx, lease, person, items.ItemOutcome(ItemState.FAILED, reason="no_name"))
    leases.release(lease)
    frozen_clock.forward(hours=1)
    retries.retry(OPERATOR, run_id)
    assert progress.get_progress(OPERATOR, run_id).state == "queued"
    frozen_clock.forward(seconds=31)
    assert progress.get_progress(OPERATOR, run_id).state == "worker_missing"


def test_a_finished_job_with_failures_shows_it(run_id: str) -> None:
    changed(run_id, state=RunState.DONE, failed=1)
    assert progress.get_progress(OPERATOR, run_id).state == "some_failed"


def test_active_and_ended_runs_are_kept_apart(run_id: str, account: Account, frozen_clock: FrozenClock) -> None:
    refresh = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    leases.take(refresh, who="here")
    assert [run.run_id for run in progress.active_runs(OPERATOR)] == [refresh, run_id]
    changed(refresh, state=RunState.DONE)
    assert [run.run_id for run in progress.active_runs(OPERATOR)] == [run_id]
    assert [run.run_id for run in progress.history(OPERATOR)] == [refresh]
    frozen_clock.forward(days=91)
    assert progress.history(OPERATOR) == []


def test_runs_of_other_accounts_are_not_found(run_id: str, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({other.id}))
    assert progress.active_runs(elsewhere) == []
    with pytest.raises(NotFound):
        progress.get_progress(elsewhere, run_id)


def test_api_clients_get_times_in_utc_and_ids_as_strings(run_id: str) -> None:
    seen = progress.as_dict(progress.get_progress(OPERATOR, run_id))
    assert (seen["id"], seen["kind"], seen["accountId"]) == (run_id, "backfill", MAISON_LUNE)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(seen["createdAt"]))
    assert (seen["finishedAt"], seen["total"], seen["done"]) == (None, 4, 0)


def test_progress_is_in_the_meta_of_the_rq_task(run_id: str, redis: Redis) -> None:
    changed(run_id, resolved=3)
    progress.publish(run_id, final=True)
    meta = json.loads(redis.hget(f"rq:job:{run_id}", "meta") or "{}")
    assert (meta["resolved"], meta["total"]) == (3, 4)


def test_publishing_never_raises(run_id: str) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        progress.publish(run_id)
    progress.publish("0123456789ab")
