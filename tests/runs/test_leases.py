"""Leases and fencing tokens of jobs, and their items when workers crash."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities.failure_policy import JOB_ATTEMPTS
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.runs import items, leases, lifecycle
from app.runs.fencing import LEASE, Lease, LeaseLostError
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR
from tests.factories import CAMILLE, GHOST, LEA, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.runs import run_of, settle, without_page_scan

PEOPLE = (LEA, CAMILLE, GHOST)


@pytest.fixture
def run_id(app: Flask, frozen_clock: FrozenClock) -> str:
    account = an_account()
    people_wrote(*PEOPLE)
    return without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))


def taken(run_id: str, who: str = "here") -> Lease:
    lease = leases.take(run_id, who=who)
    assert lease is not None
    return lease


def state_of(run_id: str, who: str) -> tuple[ItemState, int, str | None]:
    db.session.rollback()
    found = select(RunItem).where(RunItem.run_id == run_id, RunItem.ig_participant_id == who)
    item = db.session.scalars(found).one()
    return item.state, item.tries, item.reason


def test_only_one_worker_gets_the_lease(run_id: str) -> None:
    taken(run_id)
    assert leases.take(run_id, who="there") is None
    assert run_of(run_id).state is RunState.RUNNING


def test_a_lease_that_lapsed_is_taken_over_and_the_late_writer_is_fenced_off(
    run_id: str, frozen_clock: FrozenClock
) -> None:
    late = taken(run_id)
    frozen_clock.at += LEASE + timedelta(seconds=1)
    taken(run_id, "there")
    with pytest.raises(LeaseLostError):
        settle(late, CAMILLE, ItemOutcome(ItemState.RESOLVED))
    assert state_of(run_id, CAMILLE) == (ItemState.PENDING, 0, None)
    with pytest.raises(LeaseLostError):
        leases.release(late)


def test_a_lease_from_a_clock_that_ran_ahead_counts_as_lapsed(run_id: str, frozen_clock: FrozenClock) -> None:
    frozen_clock.at += timedelta(hours=1)
    taken(run_id)
    frozen_clock.at -= timedelta(hours=1)
    taken(run_id, "there")


def test_settling_renews_the_lease(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = taken(run_id)
    frozen_clock.at += LEASE - timedelta(seconds=1)
    settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    frozen_clock.at += LEASE - timedelta(seconds=1)
    assert leases.take(run_id, who="there") is None


def test_an_item_is_settled_exactly_once(run_id: str) -> None:
    lease = taken(run_id)
    settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    with pytest.raises(LeaseLostError):
        settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    run = run_of(run_id)
    assert (run.resolved, run.calls) == (1, 1)


def test_a_retry_waits_for_its_time_and_the_run_with_it(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = taken(run_id)
    later = frozen_clock.at + timedelta(seconds=4)
    for who in PEOPLE:
        settle(lease, who, ItemOutcome(ItemState.PENDING, "timeout", "timeout", calls=1, next_try_at=later))
    assert items.due(lease) == []
    assert not leases.release(lease)
    assert run_of(run_id).resume_at == later
    assert leases.ready(clock.now()) == []
    frozen_clock.at = later
    assert [ready for ready, _ in leases.ready(clock.now())] == [run_id]
    assert sorted(items.due(taken(run_id))) == sorted(PEOPLE)


def test_a_pause_names_its_reason_and_its_end(run_id: str, frozen_clock: FrozenClock) -> None:
    until = frozen_clock.at + timedelta(minutes=19)
    leases.wait(taken(run_id), until=until, reason="the budget of this hour is used up")
    run = run_of(run_id)
    assert (run.state, run.resume_at) == (RunState.WAITING, until)
    assert run.reason == "the budget of this hour is used up"
    assert leases.take(run_id, who="early") is None
    frozen_clock.at = until
    taken(run_id)
    assert (run_of(run_id).state, run_of(run_id).reason) == (RunState.RUNNING, None)


def test_a_pause_of_a_run_that_was_cancelled_meanwhile_ends_it(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = taken(run_id)
    lifecycle.cancel(OPERATOR, run_id)
    leases.wait(lease, until=frozen_clock.at + timedelta(minutes=1), reason="x")
    assert run_of(run_id).state is RunState.CANCELED


def test_a_contact_whose_lookup_crashes_three_workers_fails_and_the_job_continues(
    run_id: str, frozen_clock: FrozenClock
) -> None:
    for death in range(JOB_ATTEMPTS):
        lease = taken(run_id)
        first = items.due(lease)[0]
        assert state_of(run_id, GHOST)[1] == death
        assert first == GHOST
        frozen_clock.at += LEASE + timedelta(seconds=1)
    survivor = taken(run_id)
    assert state_of(run_id, GHOST)[0::2] == (ItemState.FAILED, "worker_died")
    assert items.due(survivor) == [CAMILLE, LEA]
    assert run_of(run_id).failed == 1


def test_a_run_whose_worker_died_while_cancelling_can_still_be_ended(run_id: str, frozen_clock: FrozenClock) -> None:
    taken(run_id)
    lifecycle.cancel(OPERATOR, run_id)
    frozen_clock.at += LEASE + timedelta(seconds=1)
    lease = taken(run_id, "there")
    assert items.due(lease) == []
    leases.release(lease)
    assert run_of(run_id).state is RunState.CANCELED


def test_a_finished_run_is_done_and_free_for_the_next(run_id: str) -> None:
    lease = taken(run_id)
    for who in PEOPLE:
        settle(lease, who, ItemOutcome(ItemState.FRESH, cached=True))
    assert not leases.release(lease)
    run = run_of(run_id)
    assert (run.state, run.fresh, run.cache_hits, run.lease_until) == (RunState.DONE, 3, 3, None)
    assert run.finished_at is not None
    assert leases.take(run_id, who="late") is None


def test_a_batch_is_as_large_as_it_was_ordered(run_id: str) -> None:
    with transaction.write() as tx:
        tx.execute(update(Run).values(batch_size=2))
    assert items.due(taken(run_id)) == [GHOST, CAMILLE]


def test_a_pause_from_a_clock_that_ran_ahead_is_over(run_id: str, frozen_clock: FrozenClock) -> None:
    frozen_clock.forward(hours=5)
    leases.wait(taken(run_id), until=clock.now() + timedelta(hours=1), reason="spent")
    assert leases.ready(clock.now()) == []
    frozen_clock.forward(hours=-5)
    assert leases.ready(clock.now()) == [(run_id, RunKind.BACKFILL)]
    assert taken(run_id)


def test_a_retry_from_a_clock_that_ran_ahead_is_due(run_id: str, frozen_clock: FrozenClock) -> None:
    lease = taken(run_id)
    settle(lease, LEA, ItemOutcome(ItemState.PENDING, calls=1, next_try_at=clock.now() + timedelta(hours=5)))
    assert LEA in items.due(lease)
