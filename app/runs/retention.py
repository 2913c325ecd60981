"""Delete the items of jobs that ended more than 90 days ago. The jobs and their counts by state and reason stay."""

from datetime import timedelta

from sqlalchemy import delete, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.run import ACTIVE, Run, RunItem
from app.runs import item_listing

KEPT = timedelta(days=90)
PURGED_ROWS = 500  # webhooks wait for a transaction


def purge() -> int:
    """Delete expired items, in short transactions. Return their number. May be interrupted, and continued later."""
    ended = select(Run.id).where(Run.state.not_in(ACTIVE), Run.finished_at < clock.now() - KEPT)
    has_items = select(RunItem.run_id).where(RunItem.run_id == Run.id).exists()
    return sum(_purge(run_id) for run_id in list(db.session.scalars(ended.where(has_items))))


def _purge(run_id: str) -> int:
    counts = item_listing.count_reasons(run_id)
    with transaction.write() as tx:
        # A retry may have reopened the job meanwhile; counts of an interrupted purge are kept.
        still = update(Run).where(Run.id == run_id, Run.state.not_in(ACTIVE), Run.finished_at < clock.now() - KEPT)
        tx.execute(still.where(Run.kept_counts.is_(None)).values(kept_counts=counts))
        if tx.execute(select(Run.id).where(Run.id == run_id, Run.kept_counts.is_not(None))).first() is None:
            return 0
    purged = 0
    while gone := _purge_chunk(run_id):
        purged += gone
    return purged


def _purge_chunk(run_id: str) -> int:
    some = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id).limit(PURGED_ROWS)
    with transaction.write() as tx:
        listed = list(tx.execute(some).scalars())
        items = delete(RunItem).where(RunItem.run_id == run_id, RunItem.ig_participant_id.in_(listed))
        return int(tx.execute(items).rowcount)
