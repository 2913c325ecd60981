"""The lease of a job, and its fencing token: a worker that lost the lease can no longer write."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update

from app.db.transaction import Tx
from app.models.run import ACTIVE, Run, RunKind, RunState

LEASE = timedelta(seconds=30)  # renewed with every item


class LeaseLostError(Exception):
    """Another worker has the job now, or it was canceled and has ended: stop, write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to work on a job; `fence` is the fencing token of this lease."""

    run_id: str
    account_id: int
    kind: RunKind
    started_by: str
    batch_size: int
    created_at: datetime
    fence: int


def update_run(tx: Tx, lease: Lease, **values: object) -> RunState:
    """Change the job's row and return its state; raises LeaseLostError after the lease was lost."""
    mine = update(Run).where(Run.id == lease.run_id, Run.fence == lease.fence, Run.state.in_(ACTIVE))
    state: RunState | None = tx.execute(mine.values(**values).returning(Run.state)).scalar()
    if state is None:
        raise LeaseLostError
    return state
