"""Jobs of a test: read them and settle their items."""

from sqlalchemy import select, update

from app.db import transaction
from app.db.engine import db
from app.models.run import Run
from app.runs import items
from app.runs.fencing import Lease
from app.runs.items import ItemOutcome


def without_page_scan(run_id: str) -> str:
    """Plan no page scan for a job, so that each contact costs one call."""
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(scan_pages=0, scan_contacts=0))
    return run_id


def run_of(run_id: str) -> Run:
    """Return the job as it is stored now."""
    db.session.rollback()
    return db.session.execute(select(Run).where(Run.id == run_id)).scalar_one()


def settle(lease: Lease, who: str, settled: ItemOutcome) -> None:
    """Settle one item of a job in a transaction of its own."""
    with transaction.write() as tx:
        items.settle(tx, lease, who, settled)
