"""Who works on a run and what became of its items; every write says "only while it is mine" (lease and fence)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select, update

from app import change_tokens, clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.models.run import ACTIVE, ItemState, Kind, Run, RunItem, RunState

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)  # renewed with every item (reliability.md 3.5)
LONGEST_PAUSE = timedelta(days=1, minutes=10)  # Meta names at most a day
TRIES = 3  # per person and run (product.md 5)
BACKOFF = (timedelta(seconds=1), timedelta(seconds=4), timedelta(seconds=16))
COUNTED = {
    ItemState.RESOLVED: Run.resolved,
    ItemState.FRESH: Run.fresh,
    ItemState.FAILED: Run.failed,
    ItemState.SKIPPED: Run.skipped,
}


_LEASED = (Run.account_id, Run.kind, Run.started_by, Run.batch_size, Run.created_at, Run.fence, Run.state)


class LeaseLostError(Exception):
    """The run is somebody else's now, or was cancelled and ended: stop, write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a run; `fence` proves that it still is ours."""

    run_id: str
    account_id: int
    kind: Kind
    started_by: str
    batch_size: int
    created_at: datetime
    fence: int
    canceling: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one item: a final state, or TODO with the time of the next try."""

    state: ItemState
    reason: str | None = None
    code: str | None = None
    calls: int = 0
    cached: bool = False
    worked_seconds: float = 0.0
    next_try_at: datetime | None = None


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
            _charge_the_dead(tx, lease)
        tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    return lease


def due(lease: Lease) -> list[str]:
    """Return the next participants of the run to look up, at most one batch, in the order of the plan.

    No item waits longer than a lease: a later time comes from a clock that was wrong.
    """
    now = clock.now()
    found = (
        select(RunItem.ig_participant_id)
        .where(
            RunItem.run_id == lease.run_id,
            RunItem.state == ItemState.TODO,
            or_(RunItem.next_try_at.is_(None), RunItem.next_try_at <= now, RunItem.next_try_at > now + 2 * LEASE),
        )
        .order_by(RunItem.position)
        .limit(lease.batch_size)
    )
    return list(db.session.scalars(found))


def settle(tx: Tx, lease: Lease, ig_participant_id: str, settled: Settled) -> bool:
    """Write what became of one item and renew the lease; returns whether the run is still wanted (not cancelled).

    Raises LeaseLostError, and then nothing is written.
    """
    now = clock.now()
    final = settled.state is not ItemState.TODO
    item = (
        update(RunItem)
        .where(
            RunItem.run_id == lease.run_id,
            RunItem.ig_participant_id == ig_participant_id,
            RunItem.state == ItemState.TODO,
        )
        .values(
            state=settled.state,
            reason=settled.reason,
            code=settled.code,
            tries=RunItem.tries + (1 if settled.calls else 0),
            calls=RunItem.calls + settled.calls,
            next_try_at=settled.next_try_at,
            settled_at=now if final else None,
        )
    )
    if not tx.execute(item).rowcount:
        raise LeaseLostError
    counters = {COUNTED[settled.state].key: COUNTED[settled.state] + 1} if final else {}
    tx.mark_changed(lease.account_id, ig_participant_id)
    state = fenced(
        tx,
        lease,
        calls=Run.calls + settled.calls,
        cache_hits=Run.cache_hits + (1 if settled.cached else 0),
        worked_seconds=Run.worked_seconds + settled.worked_seconds,
        lease_until=now + LEASE,
        **counters,
    )
    return state is not RunState.CANCELING


def tries_of(lease: Lease, ig_participant_ids: Sequence[str]) -> dict[str, int]:
    """Return how often each of these items was tried before."""
    found = select(RunItem.ig_participant_id, RunItem.tries).where(
        RunItem.run_id == lease.run_id, RunItem.ig_participant_id.in_(ig_participant_ids)
    )
    return {row.ig_participant_id: row.tries for row in db.session.execute(found)}


def postpone(tx: Tx, lease: Lease, ig_participant_ids: Sequence[str], until: datetime) -> None:
    """Leave items for later because somebody else is looking these people up right now."""
    items = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.TODO)
    tx.execute(items.where(RunItem.ig_participant_id.in_(ig_participant_ids)).values(next_try_at=until))


def fenced(tx: Tx, lease: Lease, **values: object) -> RunState:
    """Change the run's row while it is ours; returns its state, and raises LeaseLostError when it is not."""
    mine = update(Run).where(Run.id == lease.run_id, Run.fence == lease.fence, Run.state.in_(ACTIVE))
    state: RunState | None = tx.execute(mine.values(**values).returning(Run.state)).scalar()
    if state is None:
        raise LeaseLostError
    return state


def pause(lease: Lease, *, until: datetime, reason: str) -> None:
    """Give the lease back until `until` (aware UTC), when the ticker brings the run to work again."""
    try:
        with transaction.write() as tx:
            waiting = {"resume_at": until, "waiting_since": clock.now(), "reason": reason}
            if _give_back(tx, lease, **waiting) is RunState.CANCELING:
                _finish(tx, lease, RunState.CANCELED)
            else:
                fenced(tx, lease, state=RunState.WAITING)
    except LeaseLostError:
        logger.info("the lease was lost before the pause")


def give_back(lease: Lease) -> bool:
    """End a turn of work: finish the run when nothing is open, else free it; returns whether a next turn is due now."""
    with transaction.write() as tx:
        state = tx.execute(select(Run.state).where(Run.id == lease.run_id)).scalar_one()
        if state is RunState.CANCELING:
            _finish(tx, lease, RunState.CANCELED)
            return False
        opened = tx.execute(
            select(
                func.count().label("todo"),
                func.count(RunItem.next_try_at).label("later"),
                func.min(RunItem.next_try_at).label("earliest"),
            ).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.TODO)
        ).one()
        return _go_on(tx, lease, opened)


def ready(now: datetime) -> list[tuple[str, Kind]]:
    """Return the active runs that no worker has and that may resume now, oldest first; kinds of newer releases wait."""
    found = select(Run.id, Run.kind).where(*_takeable(now), Run.kind.in_(Kind)).order_by(Run.created_at)
    return [(row.id, row.kind) for row in db.session.execute(found)]


def _go_on(tx: Tx, lease: Lease, opened: Row[Any]) -> bool:
    if not opened.todo:
        _finish(tx, lease, RunState.DONE)
        return False
    resume_at = opened.earliest if opened.later == opened.todo else None
    _give_back(tx, lease, resume_at=resume_at, waiting_since=clock.now() if resume_at else None)
    return resume_at is None


def _finish(tx: Tx, lease: Lease, state: RunState) -> None:
    _give_back(tx, lease, state=state, finished_at=clock.now(), resume_at=None, reason=None)


def _give_back(tx: Tx, lease: Lease, **values: object) -> RunState:
    tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    return fenced(tx, lease, **{"lease_by": None, "lease_until": None} | values)


def _charge_the_dead(tx: Tx, lease: Lease) -> None:
    first = (
        select(RunItem.ig_participant_id, RunItem.tries)
        .where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.TODO)
        .order_by(RunItem.next_try_at.is_not(None), RunItem.position)
        .limit(1)
    )
    item = tx.execute(first).first()
    if item is None:
        return
    if item.tries + 1 >= TRIES:
        died = Settled(ItemState.FAILED, reason="worker_died", code="worker")
        settle(tx, lease, item.ig_participant_id, died)
        return
    charged = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.ig_participant_id == item.ig_participant_id)
    tx.execute(charged.values(tries=RunItem.tries + 1))


def _takeable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    # A lease that runs far longer than any was given comes from a clock that was wrong (reliability.md F29).
    free = or_(Run.lease_until.is_(None), Run.lease_until < now, Run.lease_until > now + 2 * LEASE)
    # So does a pause that began in the future, and one that is longer than any.
    wrong = or_(Run.waiting_since > now + LEASE, Run.resume_at > now + LONGEST_PAUSE)
    return Run.state.in_(ACTIVE), free, or_(Run.resume_at.is_(None), Run.resume_at <= now, wrong)
