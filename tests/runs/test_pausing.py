"""Pausing and resuming jobs: by users, until they are resumed."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis

from app import clock, queue
from app.db import transaction
from app.errors import AlreadyRunning, Conflict, Forbidden, NotFound
from app.models.run import ItemState, RunKind, RunState
from app.runs import items, leases, lifecycle, progress, retries
from app.runs.fencing import LEASE, Lease
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, GHOST, LEA, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.runs import run_of, settle, without_page_scan

NADIA = Viewer(user_id=1, name="nadia.kessler@example.com", role=Role.OPS)
AGENT = Viewer(user_id=3, name="Agent", role=Role.AGENT)
ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))
RESOLVED = ItemOutcome(ItemState.RESOLVED, calls=1)


@pytest.fixture
def run_id(app: Flask, frozen_clock: FrozenClock) -> str:
    account = an_account()
    people_wrote(LEA, CAMILLE, GHOST)
    return without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))


def taken(run_id: str) -> Lease:
    lease = leases.take(run_id, who="here")
    assert lease is not None
    return lease


def test_a_paused_job_is_not_worked_on_until_it_is_resumed(run_id: str, redis: Redis) -> None:
    lifecycle.pause(NADIA, run_id)
    shown = progress.get_progress(OPERATOR, run_id)
    assert (shown.state, shown.paused_by, shown.paused_at) == ("paused", NADIA.name, clock.now())
    assert (shown.active, shown.seconds_left) == (True, None)
    assert leases.ready(clock.now()) == []
    assert leases.take(run_id, who="here") is None
    redis.flushall()
    lifecycle.resume(NADIA, run_id)
    assert run_of(run_id).state is RunState.QUEUED
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}") == 1
    assert items.due(taken(run_id)) == [GHOST, CAMILLE, LEA]


def test_a_job_at_work_pauses_after_its_present_contact(run_id: str) -> None:
    lease = taken(run_id)
    lifecycle.pause(NADIA, run_id)
    with transaction.write() as tx:
        assert not items.settle(tx, lease, GHOST, RESOLVED)
    assert items.due(lease) == []
    assert not leases.release(lease)
    run = run_of(run_id)
    assert (run.state, run.resolved, run.lease_until) == (RunState.PAUSED, 1, None)


def test_a_worker_that_has_not_noticed_a_pause_continues_after_the_resume(run_id: str) -> None:
    lease = taken(run_id)
    lifecycle.pause(NADIA, run_id)
    lifecycle.resume(NADIA, run_id)
    assert run_of(run_id).state is RunState.RUNNING
    with transaction.write() as tx:
        assert items.settle(tx, lease, GHOST, RESOLVED)


def test_a_job_paused_during_its_last_contact_is_done(run_id: str) -> None:
    lease = taken(run_id)
    for who in (LEA, CAMILLE):
        settle(lease, who, RESOLVED)
    lifecycle.pause(NADIA, run_id)
    settle(lease, GHOST, RESOLVED)
    leases.release(lease)
    assert run_of(run_id).state is RunState.DONE


def test_a_job_that_would_wait_for_the_budget_stays_paused(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = taken(run_id)
    lifecycle.pause(NADIA, run_id)
    leases.wait(lease, until=frozen_clock.at + timedelta(minutes=5), reason="spent")
    run = run_of(run_id)
    assert (run.state, run.reason, run.lease_until) == (RunState.PAUSED, None, None)
    frozen_clock.forward(hours=1)
    assert leases.ready(clock.now()) == []


def test_a_worker_killed_while_its_job_is_paused_leaves_it_paused(run_id: str, frozen_clock: FrozenClock) -> None:
    taken(run_id)
    lifecycle.pause(NADIA, run_id)
    frozen_clock.at += 2 * LEASE
    assert leases.ready(clock.now()) == []
    assert leases.take(run_id, who="there") is None
    assert run_of(run_id).state is RunState.PAUSED


def test_a_waiting_job_can_be_paused_and_resumes_at_the_request(run_id: str, frozen_clock: FrozenClock) -> None:
    leases.wait(taken(run_id), until=frozen_clock.at + timedelta(hours=1), reason="spent")
    lifecycle.pause(NADIA, run_id)
    lifecycle.resume(NADIA, run_id)
    assert leases.ready(clock.now()) == [(run_id, RunKind.BACKFILL)]


def test_a_second_start_names_the_paused_job(run_id: str) -> None:
    lifecycle.pause(NADIA, run_id)
    with pytest.raises(AlreadyRunning, match="is paused") as refused:
        lifecycle.start(OPERATOR, run_of(run_id).account_id, kind=RunKind.BACKFILL)
    assert refused.value.run_id == run_id


def test_a_paused_job_can_be_canceled_and_one_being_canceled_not_paused(run_id: str) -> None:
    lease = taken(run_id)
    lifecycle.pause(NADIA, run_id)
    lifecycle.cancel(NADIA, run_id)
    assert run_of(run_id).state is RunState.CANCELING
    for change in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(Conflict, match="being canceled"):
            change(NADIA, run_id)
    with pytest.raises(Conflict, match="being canceled"):
        retries.retry(NADIA, run_id)
    leases.release(lease)
    assert run_of(run_id).state is RunState.CANCELED
    for change in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(Conflict, match="already ended"):
            change(NADIA, run_id)


def test_a_paused_job_without_a_worker_is_canceled_immediately(run_id: str) -> None:
    lifecycle.pause(NADIA, run_id)
    lifecycle.cancel(NADIA, run_id)
    assert run_of(run_id).state is RunState.CANCELED


def test_pausing_twice_and_resuming_a_job_at_work_are_refused(run_id: str) -> None:
    with pytest.raises(Conflict, match="not paused"):
        lifecycle.resume(NADIA, run_id)
    lifecycle.pause(NADIA, run_id)
    with pytest.raises(Conflict, match=r"nadia\.kessler@example\.com has paused"):
        lifecycle.pause(OPERATOR, run_id)


def test_agents_and_users_without_access_pause_nothing(run_id: str) -> None:
    for change in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(Forbidden):
            change(AGENT, run_id)
        with pytest.raises(NotFound):
            change(ELSEWHERE, run_id)
    assert run_of(run_id).state is RunState.QUEUED


def test_a_retry_of_a_paused_job_begins_once_it_is_resumed(run_id: str, redis: Redis) -> None:
    lease = taken(run_id)
    settle(lease, GHOST, ItemOutcome(ItemState.FAILED, reason="timeout", code="timeout", calls=1))
    lifecycle.pause(NADIA, run_id)
    leases.release(lease)
    redis.flushall()
    assert retries.retry(NADIA, run_id).text == "Retrying 1 contact once the job is resumed."
    assert run_of(run_id).state is RunState.PAUSED
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}") == 0
