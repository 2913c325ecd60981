"""One turn of work on a run: take the lease, look people up, settle each, hand on."""

import logging
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import clock, logs, queue
from app.db import transaction
from app.errors import RetryLater
from app.identities import claims, resolve
from app.identities.claims import CLAIM
from app.identities.observations import FRESH
from app.identities.resolve import LookupOutcome
from app.instagram.errors import Scope
from app.models.identity import Purpose
from app.models.run import ItemState, RunKind
from app.runs import items, leases, lifecycle, page_scan, progress
from app.runs.fencing import Lease, LeaseLostError
from app.runs.items import BACKOFF, TRIES, ItemOutcome
from app.viewer import SCHEDULE

logger = logging.getLogger(__name__)

SLICE_SECONDS = 20
SLICE_CALLS = 25
SOON = timedelta(seconds=2)  # when to look again at people whom another process is looking up


@dataclass(frozen=True, slots=True)
class _Batch:
    people: list[str]
    claim: datetime


@dataclass(slots=True)
class _Slice:
    ends_at: float
    calls: int = 0

    @property
    def is_over(self) -> bool:
        return self.calls >= SLICE_CALLS or clock.monotonic() >= self.ends_at or queue.stopping()


def run_slice(run_id: str) -> None:
    """Work on a run for at most 20 seconds or 25 calls; may be called twice, late, or for a run that has ended."""
    lease = leases.take(run_id, who=f"{socket.gethostname()}:{os.getpid()}")
    if lease is None:
        return
    with logs.log_context(run=run_id):
        try:
            _work(lease)
            if leases.release(lease):
                lifecycle.enqueue(run_id, lease.kind)
        except LeaseLostError:
            logger.info("the lease was lost; somebody else goes on")
        except RetryLater as stop:
            leases.pause(lease, until=stop.until, reason=stop.reason)
            logger.info("the run pauses", extra={"reason": stop.reason, "until": stop.until.isoformat()})
        progress.publish(run_id, final=True)


def _work(lease: Lease) -> None:
    turn = _Slice(ends_at=clock.monotonic() + SLICE_SECONDS)
    purpose = _purpose(lease)
    while not lease.canceling and not turn.is_over and (calls := page_scan.next_page(lease, purpose=purpose)):
        turn.calls += calls
        progress.publish(lease.run_id)
    while not lease.canceling and not turn.is_over:
        batch = _claimed(lease)
        if batch is None or not _serve(lease, batch, turn):
            return


def _purpose(lease: Lease) -> Purpose:
    if lease.kind is RunKind.BACKFILL:
        return Purpose.BACKFILL
    return Purpose.DAILY if lease.started_by == SCHEDULE.name else Purpose.REFRESH


def _claimed(lease: Lease) -> _Batch | None:
    """The next batch without those whom another process is looking up at this moment; they come a little later."""
    now = clock.now()
    while people := items.due(lease):
        with transaction.write() as tx:
            mine = claims.take(tx, lease.account_id, people, now=now, until=now + CLAIM)
            items.postpone(tx, lease, [each for each in people if each not in mine], now + SOON)
        if mine:
            return _Batch([each for each in people if each in mine], now + CLAIM)
    return None


def _serve(lease: Lease, batch: _Batch, turn: _Slice) -> bool:
    """Look up and settle one batch, or what of it fits into the turn; returns whether the run is still wanted."""
    people, left = batch.people, dict.fromkeys(batch.people)
    tries = items.tries_so_far(lease, people)
    since = lease.created_at if lease.kind is RunKind.REFRESH else clock.now() - FRESH
    asked = resolve.look_up(lease.account_id, people, purpose=_purpose(lease), fresh_since=since, run_id=lease.run_id)
    began = clock.monotonic()
    try:
        for outcome in asked:
            settled = _settled(outcome, tries[outcome.ig_participant_id], clock.monotonic() - began)
            with transaction.write() as tx:
                resolve.store_outcome(tx, lease.account_id, outcome, claim=batch.claim)
                wanted = items.settle(tx, lease, outcome.ig_participant_id, settled)
            began = clock.monotonic()
            resolve.cache_outcome(lease.account_id, outcome)
            progress.publish(lease.run_id)
            del left[outcome.ig_participant_id]
            turn.calls += outcome.calls
            if not wanted or turn.is_over:
                return wanted
        return True
    finally:
        if left:
            with transaction.write() as tx:
                claims.release(tx, lease.account_id, list(left), claim=batch.claim)


def _settled(outcome: LookupOutcome, tries: int, worked_seconds: float) -> ItemOutcome:
    state, next_try_at = ItemState.RESOLVED, None
    verdict = outcome.verdict
    if verdict is not None:
        state = ItemState.FAILED if verdict.scope is Scope.PERSON or tries + 1 >= TRIES else ItemState.TODO
    elif outcome.fresh:
        state = ItemState.FRESH
    if state is ItemState.TODO:
        next_try_at = clock.now() + BACKOFF[min(tries, len(BACKOFF) - 1)]
    return ItemOutcome(
        state,
        reason=verdict.reason if verdict else None,
        code=verdict.code if verdict else None,
        calls=outcome.calls,
        cached=outcome.calls == 0 and verdict is None,
        worked_seconds=worked_seconds,
        next_try_at=next_try_at,
    )
