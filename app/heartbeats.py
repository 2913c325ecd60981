"""Heartbeats: when the scheduler and the workers of each queue last reported that they run.

Stored in the database, because RQ's own registries stay empty after Redis has lost its data.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import Unavailable
from app.models.process import Heartbeat

logger = logging.getLogger(__name__)

SCHEDULER = "scheduler"
EVERY_SECONDS = 10.0
SILENT = timedelta(seconds=30)  # a scheduler without a heartbeat for so long is dead
_written_at: dict[str, float] = {}  # by part, on the monotonic clock of this process


def beat(part: str) -> None:
    """Record that `part` runs, at most every ten seconds per process. Never raises."""
    now = clock.monotonic()
    if now - _written_at.get(part, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    _written_at[part] = now
    try:
        with transaction.write() as tx:
            row = tx.insert(Heartbeat).values(part=part, at=clock.now())
            tx.execute(row.on_conflict_do_update(index_elements=["part"], set_={"at": row.excluded.at}))
    except Unavailable:
        logger.warning("heartbeat not written", extra={"part": part})


def reset() -> None:
    """Forget when this process last wrote, so that the next heartbeat is written immediately."""
    _written_at.clear()


def newest() -> dict[str, datetime]:
    """Return when each part last reported that it runs (aware UTC)."""
    return {row.part: row.at for row in db.session.execute(select(Heartbeat.part, Heartbeat.at))}


def scheduler_runs() -> bool:
    """Return whether a scheduler runs."""
    at = newest().get(SCHEDULER)
    return at is not None and at >= clock.now() - SILENT
