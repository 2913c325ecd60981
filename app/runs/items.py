"""The items of a job: which contact is looked up next, and the result of each. Every write needs the job's lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update

from app import clock
from app.db.engine import db
from app.db.transaction import Tx
from app.identities.failure_policy import JOB_ATTEMPTS
from app.identities.reasons import WORKER_DIED
from app.models.run import ItemState, Run, RunItem, RunState
from app.runs.fencing import LEASE, Lease, LeaseLostError, update_run

COUNTED = {
    ItemState.RESOLVED: Run.resolved,
    ItemState.FRESH: Run.fresh,
    ItemState.FAILED: Run.failed,
    ItemState.SKIPPED: Run.skipped,
}


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """The result of one item: a final state, or PENDING with the time of the next retry (aware UTC)."""

    state: ItemState
    reason: str | None = None
    code: str | None = None
    calls: int = 0
    cached: bool = False
    worked_seconds: float = 0.0
    next_try_at: datetime | None = None


def due(lease: Lease) -> list[str]:
    """Return the next contacts of the job to look up, at most one batch, in the order of the items.

    None are due while the job is paused or being canceled. No item waits longer than a lease: a later time was written
    by a wrong clock.
    """
    now = clock.now()
    found = (
        select(RunItem.ig_participant_id)
        .where(
            RunItem.run_id == lease.run_id,
            RunItem.state == ItemState.PENDING,
            select(Run.id).where(Run.id == lease.run_id, Run.state == RunState.RUNNING).exists(),
            or_(RunItem.next_try_at.is_(None), RunItem.next_try_at <= now, RunItem.next_try_at > now + 2 * LEASE),
        )
        .order_by(RunItem.position)
        .limit(lease.batch_size)
    )
    return list(db.session.scalars(found))


def settle(tx: Tx, lease: Lease, ig_participant_id: str, outcome: ItemOutcome) -> bool:
    """Store the result of one item and renew the lease. Return False after the job was paused or canceled.

    Raises LeaseLostError; then nothing is stored. A contact who was deleted meanwhile has no result.
    """
    now = clock.now()
    final = outcome.state is not ItemState.PENDING
    item = (
        update(RunItem)
        .where(RunItem.is_item(lease.run_id, ig_participant_id), RunItem.state == ItemState.PENDING)
        .values(
            state=outcome.state,
            reason=outcome.reason,
            code=outcome.code,
            tries=RunItem.tries + (1 if outcome.calls else 0),
            calls=RunItem.calls + outcome.calls,
            seconds=RunItem.seconds + outcome.worked_seconds,
            next_try_at=outcome.next_try_at,
            settled_at=now if final else None,
        )
    )
    stored = bool(tx.execute(item).rowcount)
    if not stored and _exists(tx, lease, ig_participant_id):
        raise LeaseLostError
    counters = {COUNTED[outcome.state].key: COUNTED[outcome.state] + 1} if final and stored else {}
    tx.mark_changed(lease.account_id, ig_participant_id)
    state = update_run(
        tx,
        lease,
        calls=Run.calls + outcome.calls,
        cache_hits=Run.cache_hits + (1 if outcome.cached else 0),
        worked_seconds=Run.worked_seconds + outcome.worked_seconds,
        lease_until=now + LEASE,
        **counters,
    )
    return state is RunState.RUNNING


def _exists(tx: Tx, lease: Lease, ig_participant_id: str) -> bool:
    item = select(RunItem.run_id).where(RunItem.is_item(lease.run_id, ig_participant_id))
    return tx.execute(item).first() is not None


def tries_so_far(lease: Lease, ig_participant_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of earlier attempts of each of these items."""
    found = select(RunItem.ig_participant_id, RunItem.tries).where(
        RunItem.run_id == lease.run_id, RunItem.ig_participant_id.in_(ig_participant_ids)
    )
    return {row.ig_participant_id: row.tries for row in db.session.execute(found)}


def postpone(tx: Tx, lease: Lease, ig_participant_ids: Sequence[str], until: datetime) -> None:
    """Postpone items because another process is looking these contacts up now."""
    items = update(RunItem).where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.PENDING)
    tx.execute(items.where(RunItem.ig_participant_id.in_(ig_participant_ids)).values(next_try_at=until))


def count_crashed_attempt(tx: Tx, lease: Lease) -> None:
    """Count an attempt of the first open item, during which a worker crashed. The last attempt fails the item."""
    first = (
        select(RunItem.ig_participant_id, RunItem.tries)
        .where(RunItem.run_id == lease.run_id, RunItem.state == ItemState.PENDING)
        .order_by(RunItem.next_try_at.is_not(None), RunItem.position)
        .limit(1)
    )
    item = tx.execute(first).first()
    if item is None:
        return
    if item.tries + 1 >= JOB_ATTEMPTS:
        settle(tx, lease, item.ig_participant_id, ItemOutcome(ItemState.FAILED, reason=WORKER_DIED, code="worker"))
        return
    attempted = update(RunItem).where(RunItem.is_item(lease.run_id, item.ig_participant_id))
    tx.execute(attempted.values(tries=RunItem.tries + 1))
