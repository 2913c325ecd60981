"""Take and release the lease of a job, also to wait. Every write is guarded by the lease's fencing token."""

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
from app.runs import kinds
from app.runs.fencing import LEASE, Lease, LeaseLostError, update_run
from app.runs.items import count_crashed_attempt

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(days=1, minutes=10)  # Meta's times are at most a day ahead


_LEASED = (Run.account_id, Run.kind, Run.started_by, Run.batch_size, Run.created_at, Run.fence)


def take(run_id: str, *, who: str) -> Lease | None:
    """Take the lease of an active job for the worker `who`. Return None while another worker holds it or it must wait.

    An expired lease means that a worker crashed during the first open item. That counts as an attempt of the item, so
    that a contact whose lookup crashes workers cannot block a job forever.
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
        lease = Lease(run_id, *facts)
        interrupted = before.lease_until is not None and before.scanned_pages >= before.scan_pages
        if interrupted and not kinds.syncs(before.kind):
            count_crashed_attempt(tx, lease)
        tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    return lease


def wait(lease: Lease, *, until: datetime, reason: str) -> None:
    """Release the lease and let the job wait until `until` (aware UTC), when the scheduler enqueues it again."""
    try:
        with transaction.write() as tx:
            _reopen_not_at_fault(tx, lease)
            state = _release(tx, lease)
            if state is RunState.CANCELING:
                _finish(tx, lease, RunState.CANCELED)
            elif state is not RunState.PAUSED:
                waiting = {"resume_at": until, "waiting_since": clock.now(), "reason": reason}
                update_run(tx, lease, state=RunState.WAITING, **waiting)
    except LeaseLostError:
        logger.info("job does not wait: lease lost")


def release(lease: Lease, *, unfinished: bool = False) -> bool:
    """Release the lease after a slice of work; finish the job if no item is open. Return whether to enqueue it now.

    `unfinished`: the job goes on whatever its items say.
    """
    with transaction.write() as tx:
        # Locks the row, so that a retry cannot reopen items between the count and the end of the job.
        state = tx.execute(select(Run.state).where(Run.id == lease.run_id).with_for_update()).scalar_one()
        if state is RunState.CANCELING:
            _finish(tx, lease, RunState.CANCELED)
            return False
        if unfinished:
            _release(tx, lease)
            return state is not RunState.PAUSED
        _reopen_not_at_fault(tx, lease)
        opened = tx.execute(
            select(
                func.count().label("todo"),
                func.count(RunItem.next_try_at).label("later"),
                func.min(RunItem.next_try_at).label("earliest"),
            ).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.PENDING)
        ).one()
        return _release_or_finish(tx, lease, opened) and state is not RunState.PAUSED


def end(tx: Tx, lease: Lease, *, failed: str | None = None) -> None:
    """End a job that does not depend on items: as done, as canceled if a user canceled it, or `failed`: why."""
    state = tx.execute(select(Run.state).where(Run.id == lease.run_id).with_for_update()).scalar_one()
    if state is RunState.CANCELING:
        _finish(tx, lease, RunState.CANCELED)
    elif failed:
        _release(tx, lease, state=RunState.FAILED, finished_at=clock.now(), resume_at=None, reason=failed)
    else:
        _finish(tx, lease, RunState.DONE)


def ready(now: datetime) -> list[tuple[str, RunKind]]:
    """Return the active jobs without a worker that may resume now, oldest first; kinds of newer versions wait."""
    found = select(Run.id, Run.kind).where(*_takeable(now), Run.kind.in_(RunKind)).order_by(Run.created_at)
    return [(row.id, row.kind) for row in db.session.execute(found)]


def _reopen_not_at_fault(tx: Tx, lease: Lease) -> None:
    """Reopen items whose failure was withdrawn: it was an outage, recognized by later lookups."""
    not_at_fault = select(Identity.ig_participant_id).where(
        Identity.account_id == lease.account_id, *observations.WITHDRAWN
    )
    failed = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.FAILED)
    reopened = failed.where(RunItem.ig_participant_id.in_(not_at_fault)).values(
        state=ItemState.PENDING, reason=None, code=None, tries=0, next_try_at=None, settled_at=None
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
    # A lease far longer than LEASE was written by a wrong clock.
    free = or_(Run.lease_until.is_(None), Run.lease_until < now, Run.lease_until > now + 2 * LEASE)
    # So was a pause that began in the future, and one that is longer than any.
    wrong = or_(Run.waiting_since > now + LEASE, Run.resume_at > now + LONGEST_PAUSE)
    return (
        Run.state.in_(ACTIVE),
        Run.state != RunState.PAUSED,
        free,
        or_(Run.resume_at.is_(None), Run.resume_at <= now, wrong),
    )
