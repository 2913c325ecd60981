"""Who works on a run and what became of its items; every write says "only while it is mine" (lease and fence)."""

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select, update

from app import change_tokens, clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.identities import observations
from app.models.identity import Identity
from app.models.run import ACTIVE, ItemState, Run, RunItem, RunKind, RunState
from app.runs.fencing import LEASE, Lease, LeaseLostError, update_run
from app.runs.items import count_crashed_attempt

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(days=1, minutes=10)  # Meta names at most a day


_LEASED = (Run.account_id, Run.kind, Run.started_by, Run.batch_size, Run.created_at, Run.fence, Run.state)


def take(run_id: str, *, who: str) -> Lease | None:
    """Take the lease of an active run, or return None when somebody holds it or there is nothing to do yet.

    A lease that lapsed without being given back means that a worker died over the first open item: that counts as one
    of the item's tries, so that a person whose lookup kills workers cannot hold a run for ever.
    """
    now = clock.now()
    with transaction.write() as tx:
        before = tx.execute(select(Run).where(Run.id == run_id)).first()
        taken = tx.execute(
            update(Run)
            .where(Run.id == run_id, *_takeable(now))
            .values(
                lease_by=who,
                lease_until=now + LEASE,
                fence=Run.fence + 1,
                resume_at=None,
                waiting_since=None,
                started_at=func.coalesce(Run.started_at, now),
            )
            .returning(*_LEASED)
        ).first()
        if taken is None or before is None:
            return None
        running = update(Run).where(Run.id == run_id, Run.state.in_((RunState.QUEUED, RunState.WAITING)))
        tx.execute(running.values(state=RunState.RUNNING, reason=None))
        facts = (taken.account_id, taken.kind, taken.started_by, taken.batch_size, taken.created_at, taken.fence)
        lease = Lease(run_id, *facts, taken.state is RunState.CANCELING)
        if before.lease_until is not None and before.swept_pages >= before.sweep_pages:
            count_crashed_attempt(tx, lease)
        tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    return lease


def pause(lease: Lease, *, until: datetime, reason: str) -> None:
    """Give the lease back until `until` (aware UTC), when the ticker brings the run to work again."""
    try:
        with transaction.write() as tx:
            _reopen_not_at_fault(tx, lease)
            waiting = {"resume_at": until, "waiting_since": clock.now(), "reason": reason}
            if _release(tx, lease, **waiting) is RunState.CANCELING:
                _finish(tx, lease, RunState.CANCELED)
            else:
                update_run(tx, lease, state=RunState.WAITING)
    except LeaseLostError:
        logger.info("the lease was lost before the pause")


def release(lease: Lease) -> bool:
    """End a turn of work: finish the run when nothing is open, else free it; returns whether a next turn is due now."""
    with transaction.write() as tx:
        state = tx.execute(select(Run.state).where(Run.id == lease.run_id)).scalar_one()
        if state is RunState.CANCELING:
            _finish(tx, lease, RunState.CANCELED)
            return False
        _reopen_not_at_fault(tx, lease)
        opened = tx.execute(
            select(
                func.count().label("todo"),
                func.count(RunItem.next_try_at).label("later"),
                func.min(RunItem.next_try_at).label("earliest"),
            ).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.TODO)
        ).one()
        return _release_or_finish(tx, lease, opened)


def ready(now: datetime) -> list[tuple[str, RunKind]]:
    """Return the active runs that no worker has and that may resume now, oldest first; kinds of newer releases wait."""
    found = select(Run.id, Run.kind).where(*_takeable(now), Run.kind.in_(RunKind)).order_by(Run.created_at)
    return [(row.id, row.kind) for row in db.session.execute(found)]


def _reopen_not_at_fault(tx: Tx, lease: Lease) -> None:
    """Have contacts looked up again whose failure was taken back: it was an outage, recognized by later lookups."""
    not_at_fault = select(Identity.ig_participant_id).where(
        Identity.account_id == lease.account_id, *observations.TAKEN_BACK
    )
    failed = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.FAILED)
    reopened = failed.where(RunItem.ig_participant_id.in_(not_at_fault)).values(
        state=ItemState.TODO, reason=None, code=None, tries=0, next_try_at=None, settled_at=None
    )
    contacts = tx.execute(reopened).rowcount
    if contacts:
        update_run(tx, lease, failed=Run.failed - contacts)


def _release_or_finish(tx: Tx, lease: Lease, opened: Row[Any]) -> bool:
    if not opened.todo:
        _finish(tx, lease, RunState.DONE)
        return False
    resume_at = opened.earliest if opened.later == opened.todo else None
    _release(tx, lease, resume_at=resume_at, waiting_since=clock.now() if resume_at else None)
    return resume_at is None


def _finish(tx: Tx, lease: Lease, state: RunState) -> None:
    _release(tx, lease, state=state, finished_at=clock.now(), resume_at=None, reason=None)


def _release(tx: Tx, lease: Lease, **values: object) -> RunState:
    tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    return update_run(tx, lease, **{"lease_by": None, "lease_until": None} | values)


def _takeable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    # A lease that runs far longer than any was given comes from a clock that was wrong (reliability.md F29).
    free = or_(Run.lease_until.is_(None), Run.lease_until < now, Run.lease_until > now + 2 * LEASE)
    # So does a pause that began in the future, and one that is longer than any.
    wrong = or_(Run.waiting_since > now + LEASE, Run.resume_at > now + LONGEST_PAUSE)
    return Run.state.in_(ACTIVE), free, or_(Run.resume_at.is_(None), Run.resume_at <= now, wrong)
