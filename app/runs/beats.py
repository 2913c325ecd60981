"""Which parts are alive. RQ's own registries stay empty after Redis was emptied, so it is a row of ours."""

import logging
from datetime import datetime

from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import Unavailable
from app.models.run import Heartbeat

logger = logging.getLogger(__name__)

SCHEDULER = "scheduler"
EVERY_SECONDS = 10.0  # reliability.md 3.9
_beaten: dict[str, float] = {}


def beat(part: str) -> None:
    """Say that `part` is alive, at most every ten seconds; never raises."""
    now = clock.monotonic()
    if now - _beaten.get(part, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    _beaten[part] = now
    try:
        with transaction.write() as tx:
            alive = tx.insert(Heartbeat).values(part=part, at=clock.now())
            tx.execute(alive.on_conflict_do_update(index_elements=["part"], set_={"at": alive.excluded.at}))
    except Unavailable:
        logger.warning("a sign of life could not be written", extra={"part": part})


def newest() -> dict[str, datetime]:
    """Return when each part last said that it is alive (aware UTC)."""
    return {row.part: row.at for row in db.session.execute(select(Heartbeat.part, Heartbeat.at))}
