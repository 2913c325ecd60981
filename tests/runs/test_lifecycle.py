"""Starting, canceling and retrying jobs; one active job per account and kind."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock, queue, settings
from app.db import transaction
from app.db.engine import db
from app.errors import AlreadyRunning, Conflict, Forbidden, Invalid, NotFound
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import AccountState
from app.models.identity import Source
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.runs import items, leases, lifecycle, retries
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR, SCHEDULE, Role, Viewer
from tests.factories import ATELIER_NORD, CAMILLE, GHOST, LEA, SHY, an_account, people_wrote
from tests.support.runs import run_of

AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)
ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def named(account_id: int, who: str, *, ago: timedelta = timedelta()) -> None:
    at = clock.now() - ago
    seen = ProfileObservation(who, username="somebody", name=None, picture_url=None, source=Source.PROFILE, at=at)
    with transaction.write() as tx:
        observations.record(tx, account_id, seen)


def item_states(run_id: str) -> list[tuple[str, ItemState]]:
    db.session.rollback()
    found = select(RunItem.ig_participant_id, RunItem.state).where(RunItem.run_id == run_id)
    return [(row.ig_participant_id, row.state) for row in db.session.execute(found.order_by(RunItem.position))]


def test_a_backfill_takes_unknown_contacts_newest_conversation_first(app: Flask, redis: Redis) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE, GHOST)
    named(account.id, CAMILLE)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    assert item_states(run_id) == [(GHOST, ItemState.PENDING), (LEA, ItemState.PENDING)]
    run = run_of(run_id)
    assert (run.state, run.total, run.started_by, run.batch_size) == (RunState.QUEUED, 2, "Command line", 10)
    assert redis.lrange("rq:queue:backfill-participant-profiles", 0, -1) == [run_id.encode()]


def test_a_refresh_takes_all_contacts_except_placeholder_ids(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE, "UNKNOWN_17")
    named(account.id, CAMILLE)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    assert [who for who, _ in item_states(run_id)] == [CAMILLE, LEA]


def test_contacts_with_stopped_retries_are_skipped_and_counted(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA, SHY)
    refused = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, SHY, refused, at=clock.now(), raw=None)
    run = run_of(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    assert (run.total, run.skipped) == (2, 1)
    assert dict(item_states(run.id))[SHY] is ItemState.SKIPPED


def test_a_job_without_contacts_is_done_immediately(app: Flask, redis: Redis) -> None:
    run = run_of(lifecycle.start(OPERATOR, an_account().id, kind=RunKind.BACKFILL))
    assert (run.state, run.total) == (RunState.DONE, 0)
    assert run.finished_at is not None
    assert redis.llen("rq:queue:backfill-participant-profiles") == 0


@pytest.mark.parametrize("batch_size", [0, 101, -1])
def test_a_batch_size_outside_its_range_starts_nothing(app: Flask, batch_size: int) -> None:
    account = an_account()
    with pytest.raises(Invalid):
        lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL, batch_size=batch_size)
    assert db.session.scalars(select(Run)).all() == []


def test_an_agent_may_not_start_a_job_and_without_access_there_is_no_account(app: Flask) -> None:
    account = an_account()
    with pytest.raises(Forbidden):
        lifecycle.start(AGENT, account.id, kind=RunKind.BACKFILL)
    for viewer, account_id in ((ELSEWHERE, account.id), (OPERATOR, 12345)):
        with pytest.raises(NotFound):
            lifecycle.start(viewer, account_id, kind=RunKind.BACKFILL)


def test_a_second_start_names_the_run_that_is_active(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    with pytest.raises(AlreadyRunning) as refused:
        lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    assert refused.value.run_id == run_id
    assert lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH) != run_id


def test_of_fifty_starts_at_once_exactly_one_succeeds(app: Flask) -> None:
    account_id = an_account().id
    people_wrote(LEA)
    db.session.remove()
    answers: list[str] = []

    def press() -> None:
        with app.app_context():
            try:
                answers.append(f"started {lifecycle.start(OPERATOR, account_id, kind=RunKind.BACKFILL)}")
            except AlreadyRunning as running:
                answers.append(f"running {running.run_id}")

    threads = [threading.Thread(target=press) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    [started] = [answer for answer in answers if answer.startswith("started")]
    assert {answer.split()[1] for answer in answers} == {started.split()[1]}


def test_a_job_without_a_worker_is_canceled_immediately(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lifecycle.cancel(OPERATOR, run_id)
    assert run_of(run_id).state is RunState.CANCELED
    with pytest.raises(Conflict):
        lifecycle.cancel(OPERATOR, run_id)
    with pytest.raises(NotFound):
        lifecycle.cancel(ELSEWHERE, run_id)


def test_a_run_at_work_ends_after_its_present_item(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    lifecycle.cancel(OPERATOR, run_id)
    assert run_of(run_id).state is RunState.CANCELING
    with transaction.write() as tx:
        assert not items.settle(tx, lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    assert not leases.release(lease)
    run = run_of(run_id)
    assert (run.state, run.resolved, run.calls) == (RunState.CANCELED, 1, 1)


def test_a_retry_reopens_what_failed_and_forgets_the_failures(app: Flask, redis: Redis) -> None:
    account = an_account()
    people_wrote(LEA, GHOST)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    with pytest.raises(Conflict, match="can be retried"):
        retries.retry(OPERATOR, run_id)
    with transaction.write() as tx:
        items.settle(tx, lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
        items.settle(tx, lease, GHOST, ItemOutcome(ItemState.FAILED, "not_visible", "9010", calls=1))
    leases.release(lease)
    assert run_of(run_id).state is RunState.DONE
    assert retries.retry(OPERATOR, run_id).contacts == 1
    run = run_of(run_id)
    assert (run.state, run.resolved, run.failed) == (RunState.QUEUED, 1, 0)
    assert dict(item_states(run_id)) == {LEA: ItemState.RESOLVED, GHOST: ItemState.PENDING}
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}") == 2


def test_a_retry_of_a_run_in_which_nothing_failed_is_refused(app: Flask) -> None:
    run_id = lifecycle.start(OPERATOR, an_account().id, kind=RunKind.BACKFILL)
    with pytest.raises(Conflict):
        retries.retry(OPERATOR, run_id)
    assert run_of(run_id).created_at <= clock.now() + timedelta(seconds=1)


def test_the_hourly_refresh_is_of_what_expires_at_connected_accounts_and_of_half_an_hour_at_most(
    app: Flask, redis: Redis
) -> None:
    account, lost = an_account(), an_account(ATELIER_NORD, state=AccountState.RECONNECT)
    people_wrote(LEA, CAMILLE, GHOST)
    for who, ago in ((LEA, timedelta(days=8)), (CAMILLE, timedelta(days=6, hours=1)), (GHOST, timedelta(days=1))):
        named(account.id, who, ago=ago)
    named(lost.id, LEA, ago=timedelta(days=8))
    with settings.using(graph_calls_per_hour=2):
        lifecycle.refresh_expiring()
        lifecycle.refresh_expiring()  # the first one still runs
    [run] = db.session.scalars(select(Run))
    assert (run.account_id, run.kind, run.started_by, run.total) == (account.id, RunKind.REFRESH, SCHEDULE.name, 1)
    assert item_states(run.id) == [(CAMILLE, ItemState.PENDING)]


def test_where_nothing_expires_no_refresh_is_begun(app: Flask, redis: Redis) -> None:
    account = an_account()
    people_wrote(LEA, GHOST)
    named(account.id, LEA)
    lifecycle.refresh_expiring()
    assert db.session.scalars(select(Run)).all() == []
