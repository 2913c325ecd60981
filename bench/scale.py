"""Planning and running a job cost the same per contact for 1,000 contacts and for as many as a job may have."""

import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.account import Account, AccountState, Login
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import ItemState, Run, RunItem, RunKind
from app.runs import items, leases, lifecycle, progress, selection
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR
from bench.measures import Figure

SMALL, LARGE = 1_000, selection.MOST_CONTACTS
ROUNDS = 5
TURN = 200  # contacts
EVEN = 1.2
SETTLED = ItemOutcome(ItemState.RESOLVED, calls=1, worked_seconds=0.2)


def even() -> Iterator[Figure]:
    """Compare the medians of two accounts of one database, whose rounds alternate."""
    small, large = _account(SMALL), _account(LARGE)
    planned: dict[int, list[float]] = {small: [], large: []}
    worked: dict[int, list[float]] = {small: [], large: []}
    for _ in range(ROUNDS):
        for account_id, people in ((small, SMALL), (large, LARGE)):
            began = time.perf_counter()
            run_id = lifecycle.start(OPERATOR, account_id, kind=RunKind.BACKFILL)
            planned[account_id].append((time.perf_counter() - began) / people)
            worked[account_id].append(_worked(run_id, people))
            _delete_run(run_id)
    yield Figure("planning, µs per contact of 1,000", statistics.median(planned[small]) * 1e6, None, "µs")
    yield _ratio("planning: one of 50,000 against one of 1,000", planned[large], planned[small])
    yield Figure("running, ms per contact of 1,000", statistics.median(worked[small]) * 1e3, None, "ms")
    yield _ratio("running: one of 50,000 against one of 1,000", worked[large], worked[small])


def _ratio(what: str, ours: list[float], baseline: list[float]) -> Figure:
    return Figure(what, statistics.median(ours) / statistics.median(baseline), EVEN, "×")


def _worked(run_id: str, people: int) -> float:
    """Return the seconds per contact in the middle of a job without the call: find, settle, report progress."""
    half = update(RunItem).where(RunItem.run_id == run_id, RunItem.position <= people // 2)
    with transaction.write() as tx:
        tx.execute(half.values(state=ItemState.RESOLVED))
        tx.execute(update(Run).where(Run.id == run_id).values(resolved=people // 2, scan_pages=0))
    lease = leases.take(run_id, who="bench")
    assert lease is not None
    began, done = time.perf_counter(), 0
    while done < TURN:
        for person in items.due(lease):
            with transaction.write() as tx:
                items.settle(tx, lease, person, SETTLED)
            progress.publish(run_id)
            done += 1
    return (time.perf_counter() - began) / done


def _delete_run(run_id: str) -> None:
    with transaction.write() as tx:
        tx.execute(delete(RunItem).where(RunItem.run_id == run_id))
        tx.execute(delete(Run).where(Run.id == run_id))
    db.session.rollback()


def _account(people: int) -> int:
    """Store an account to which unknown contacts wrote, a second apart; return its ID."""
    now = clock.now()
    ig_account_id = f"178414{people:011d}"
    account = Account(
        ig_account_id=ig_account_id,
        login=Login.INSTAGRAM,
        own_ids=[],
        state=AccountState.CONNECTED,
        connected_at=now,
    )
    with transaction.write() as tx:
        tx.session.add(account)
        tx.session.flush()
        account_id = account.id
        rows = [{"account_id": account_id, "ig_participant_id": f"15{number:014d}"} for number in range(people)]
        common = {"last_message_mid": "m", "last_message_kind": "text", "last_message_outgoing": False, "known": False}
        seen = [row | common | _at(now, number) for number, row in enumerate(rows)]
        tx.execute(insert(Conversation), seen)
        tx.execute(insert(Identity), [row | {"first_seen_at": now, "next_purpose": Purpose.BACKFILL} for row in rows])
    return account_id


def _at(now: datetime, number: int) -> dict[str, datetime]:
    at = now - timedelta(seconds=number + 1)
    return {"first_message_at": at, "last_message_at": at}
