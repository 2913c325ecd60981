"""The right to work on a run: whoever lost it can no longer write, because each write names the lease's fence."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update

from app.db.transaction import Tx
from app.models.run import ACTIVE, Run, RunKind, RunState

LEASE = timedelta(seconds=30)  # renewed with every item (reliability.md 3.5)


class LeaseLostError(Exception):
    """The run is somebody else's now, or was cancelled and ended: stop, write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a run; `fence` proves that it still is ours."""

    run_id: str
    account_id: int
    kind: RunKind
    started_by: str
    batch_size: int
    created_at: datetime
    fence: int
    canceling: bool


def update_run(tx: Tx, lease: Lease, **values: object) -> RunState:
    """Change the run's row while it is ours; returns its state, and raises LeaseLostError when it is not."""
    mine = update(Run).where(Run.id == lease.run_id, Run.fence == lease.fence, Run.state.in_(ACTIVE))
    state: RunState | None = tx.execute(mine.values(**values).returning(Run.state)).scalar()
    if state is None:
        raise LeaseLostError
    return state
