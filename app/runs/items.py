"""The items of a run: which contact is looked up next, and what became of each. Every write needs the run's lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from app import clock
from app.db.engine import db
from app.db.transaction import Tx
from app.models.run import ItemState, Run, RunItem, RunState
from app.runs.fencing import LEASE, Lease, LeaseLostError, update_run

TRIES = 3  # per person and run (product.md 5)
BACKOFF = (timedelta(seconds=1), timedelta(seconds=4), timedelta(seconds=16))
COUNTED = {
    ItemState.RESOLVED: Run.resolved,
    ItemState.FRESH: Run.fresh,
    ItemState.FAILED: Run.failed,
    ItemState.SKIPPED: Run.skipped,
}


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item: a final state, or TODO with the time of the next try."""

    state: ItemState
    reason: str | None = None
    code: str | None = None
    calls: int = 0
    cached: bool = False
    worked_seconds: float = 0.0
    next_try_at: datetime | None = None


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


def settle(tx: Tx, lease: Lease, ig_participant_id: str, settled: ItemOutcome) -> bool:
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
    state = update_run(
        tx,
        lease,
        calls=Run.calls + settled.calls,
        cache_hits=Run.cache_hits + (1 if settled.cached else 0),
        worked_seconds=Run.worked_seconds + settled.worked_seconds,
        lease_until=now + LEASE,
        **counters,
    )
    return state is not RunState.CANCELING


def tries_so_far(lease: Lease, ig_participant_ids: Sequence[str]) -> dict[str, int]:
    """Return how often each of these items was tried before."""
    found = select(RunItem.ig_participant_id, RunItem.tries).where(
        RunItem.run_id == lease.run_id, RunItem.ig_participant_id.in_(ig_participant_ids)
    )
    return {row.ig_participant_id: row.tries for row in db.session.execute(found)}


def postpone(tx: Tx, lease: Lease, ig_participant_ids: Sequence[str], until: datetime) -> None:
    """Leave items for later because somebody else is looking these people up right now."""
    items = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.TODO)
    tx.execute(items.where(RunItem.ig_participant_id.in_(ig_participant_ids)).values(next_try_at=until))


def count_crashed_attempt(tx: Tx, lease: Lease) -> None:
    """Count one try of the first open item, over which a worker died; after the last one the item fails."""
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
        died = ItemOutcome(ItemState.FAILED, reason="worker_died", code="worker")
        settle(tx, lease, item.ig_participant_id, died)
        return
    charged = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.ig_participant_id == item.ig_participant_id)
    tx.execute(charged.values(tries=RunItem.tries + 1))
