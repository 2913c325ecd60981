"""Items of jobs are deleted after 90 days; the jobs and their counts stay."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import Conflict
from app.models.run import ItemState, RunItem, RunKind
from app.runs import item_listing, leases, lifecycle, progress, retention, retries
from app.runs.item_listing import ItemFilter
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR
from tests.factories import GHOST, LEA, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.runs import run_of, settle


def items() -> int:
    db.session.rollback()
    return db.session.execute(select(func.count()).select_from(RunItem)).scalar_one()


@pytest.fixture
def run_id(app: Flask, frozen_clock: FrozenClock) -> str:
    account = an_account()
    people_wrote(LEA, GHOST, SHY)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    settle(lease, GHOST, ItemOutcome(ItemState.FAILED, reason="not_visible", code="9010", calls=1))
    settle(lease, SHY, ItemOutcome(ItemState.FAILED, reason="consent", code="230", calls=1))
    leases.release(lease)
    return run_id


def test_after_ninety_days_only_the_counts_by_state_and_reason_are_left(
    run_id: str, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PURGED_ROWS", 2)
    before = item_listing.count_items(OPERATOR, run_id)
    frozen_clock.at += retention.KEPT
    assert (retention.purge(), items()) == (0, 3)
    frozen_clock.forward(seconds=1)
    assert (retention.purge(), items()) == (3, 0)
    after = item_listing.count_items(OPERATOR, run_id)
    assert (after.total, after.by_state) == (before.total, before.by_state)
    assert [(each.reason, each.contacts) for each in after.by_reason] == [
        (each.reason, each.contacts) for each in before.by_reason
    ]
    assert after.purged
    assert after.retryable == 0
    assert item_listing.list_items(OPERATOR, run_id, ItemFilter()).rows == ()
    assert progress.get_progress(OPERATOR, run_id).failed == 2
    with pytest.raises(Conflict, match="deleted after 90 days"):
        retries.retry(OPERATOR, run_id)
    assert retention.purge() == 0


def test_an_interrupted_deletion_continues_and_keeps_the_first_counts(run_id: str, frozen_clock: FrozenClock) -> None:
    frozen_clock.at += retention.KEPT + timedelta(seconds=1)
    kept = item_listing.count_reasons(run_id)
    with transaction.write() as tx:
        tx.execute(RunItem.__table__.delete().where(RunItem.ig_participant_id == GHOST))  # type: ignore[attr-defined]
        tx.execute(db.metadata.tables["runs"].update().values(kept_counts=kept))
    assert retention.purge() == 2
    assert run_of(run_id).kept_counts == kept


def test_a_job_that_is_active_keeps_its_items_however_old_it_is(run_id: str, frozen_clock: FrozenClock) -> None:
    retries.retry(OPERATOR, run_id)
    lifecycle.pause(OPERATOR, run_id)
    frozen_clock.forward(days=200)
    assert (retention.purge(), items()) == (0, 3)
    assert run_of(run_id).resolved == 1
    assert clock.now() > run_of(run_id).created_at + retention.KEPT
    assert item_listing.count_items(OPERATOR, run_id).by_state[ItemState.PENDING] == 1
