"""One slice of work on a job: take the lease, look contacts up, settle their items, enqueue the next slice."""

import logging
import os
import socket
from dataclasses import dataclass
from datetime import timedelta

from app import clock, logs, queue
from app.db import transaction
from app.errors import RetryLater
from app.identities import claims, failure_policy, resolve
from app.identities.claims import CLAIM
from app.identities.observations import FRESH
from app.identities.resolve import Batch, LookupOutcome
from app.models.call import Purpose
from app.models.run import ItemState
from app.runs import items, kinds, leases, lifecycle, page_scan, progress, sync_job
from app.runs.fencing import Lease, LeaseLostError
from app.runs.items import ItemOutcome
from app.runs.sync_job import PageStep
from app.viewer import SCHEDULE

logger = logging.getLogger(__name__)

SLICE_SECONDS = 20
SLICE_CALLS = 25
SOON = timedelta(seconds=2)  # when to return to contacts that another process is looking up


@dataclass(slots=True)
class _Slice:
    ends_at: float
    calls: int = 0

    @property
    def is_over(self) -> bool:
        return self.calls >= SLICE_CALLS or clock.monotonic() >= self.ends_at or queue.stopping()


def run_slice(run_id: str) -> None:
    """Work on a job for at most 20 seconds or 25 calls; may be called twice, late, or for a job that has ended."""
    lease = leases.take(run_id, who=f"{socket.gethostname()}:{os.getpid()}")
    if lease is None:
        return
    with logs.log_context(run=run_id):
        try:
            if _work(lease) and leases.release(lease, unfinished=kinds.syncs(lease.kind)):
                lifecycle.enqueue(run_id, lease.kind)
        except LeaseLostError:
            logger.info("lease lost; another worker continues the job")
        except RetryLater as stop:
            leases.wait(lease, until=stop.until, reason=stop.reason)
            logger.info("job waits", extra={"reason": stop.reason, "until": stop.until.isoformat()})
        progress.publish(run_id, final=True)


def _work(lease: Lease) -> bool:
    """Work on the job until the slice is over. Return whether its lease is still held."""
    slice_ = _Slice(ends_at=clock.monotonic() + SLICE_SECONDS)
    if kinds.syncs(lease.kind):
        return _sync(lease, slice_)
    purpose = _purpose(lease)
    while not slice_.is_over and (calls := page_scan.next_page(lease, purpose=purpose)):
        slice_.calls += calls
        progress.publish(lease.run_id)
    while not slice_.is_over:
        batch = _claim_batch(lease)
        if batch is None or not _look_up_batch(lease, batch, slice_):
            break
    return True


def _sync(lease: Lease, slice_: _Slice) -> bool:
    while not slice_.is_over:
        step, calls = sync_job.read_page(lease)
        slice_.calls += calls
        progress.publish(lease.run_id)
        if step is not PageStep.MORE:
            return step is PageStep.STOPPED
    return True


def _purpose(lease: Lease) -> Purpose:
    rules = kinds.RULES[lease.kind]
    return rules.scheduled_purpose if lease.started_by == SCHEDULE.name else rules.purpose


def _claim_batch(lease: Lease) -> Batch | None:
    """Claim the next batch, without contacts that another process is looking up; those are postponed."""
    now = clock.now()
    while due := items.due(lease):
        with transaction.write() as tx:
            mine = claims.take(tx, lease.account_id, due, now=now, until=now + CLAIM)
            items.postpone(tx, lease, [each for each in due if each not in mine], now + SOON)
        if mine:
            since = lease.created_at if kinds.RULES[lease.kind].includes_fresh else clock.now() - FRESH
            left = {each: None for each in due if each in mine}
            return Batch(lease.account_id, left, now + CLAIM, _purpose(lease), since, lease.run_id)
    return None


def _look_up_batch(lease: Lease, batch: Batch, slice_: _Slice) -> bool:
    """Look up and settle one batch, or the part that fits into the slice. Return False once the job must stop."""
    tries, wanted = items.tries_so_far(lease, list(batch.left)), True

    def settle(tx: transaction.Tx, outcome: LookupOutcome, seconds: float) -> None:
        nonlocal wanted
        result = _item_outcome(outcome, tries[outcome.ig_participant_id], seconds)
        wanted = items.settle(tx, lease, outcome.ig_participant_id, result)

    try:
        for outcome in resolve.resolve_batch(batch, settle):
            progress.publish(lease.run_id)
            slice_.calls += outcome.calls
            if not wanted or slice_.is_over:
                return wanted
        return True
    finally:
        resolve.release_rest(batch)


def _item_outcome(outcome: LookupOutcome, tries: int, worked_seconds: float) -> ItemOutcome:
    state, next_try_at = ItemState.RESOLVED, None
    failure = outcome.failure
    if failure is not None:
        delay = failure_policy.job_retry_delay(failure, tries)
        state = ItemState.PENDING if delay else ItemState.FAILED
        next_try_at = clock.now() + delay if delay else None
    elif outcome.fresh:
        state = ItemState.FRESH
    return ItemOutcome(
        state,
        reason=failure.reason if failure else None,
        code=failure.code if failure else None,
        calls=outcome.calls,
        cached=outcome.calls == 0 and failure is None,
        worked_seconds=worked_seconds,
        next_try_at=next_try_at,
    )
