"""Where a run is among the conversation pages: a cursor of Meta's, kept in Redis for minutes and nowhere else.

Cursors die when their conversation goes and are not to be stored (instagram-platform.md 8). What is forgotten here is
planned anew from the ledger.
"""

import logging

from app import redis_client
from app.redis_client import RedisAway

logger = logging.getLogger(__name__)

LIFE_SECONDS = 300  # over the end of a turn, a killed worker and a short pause
CURSOR_CHARACTERS = 4_000


def keep(run_id: str, after: str | None) -> None:
    """Remember where a run's next page begins, or forget it; never raises."""
    try:
        if after and len(after) <= CURSOR_CHARACTERS:
            redis_client.client().set(_key(run_id), after, ex=LIFE_SECONDS)
        else:
            redis_client.client().delete(_key(run_id))
    except RedisAway:
        logger.info("a place was not kept; Redis is away", extra={"run": run_id})


def of(run_id: str) -> str | None:
    """Return where a run's next page begins, None when that is not known (any more)."""
    try:
        kept = redis_client.client().get(_key(run_id))
    except RedisAway:
        return None
    return kept.decode(errors="replace") if isinstance(kept, bytes) else None


def _key(run_id: str) -> str:
    return f"nametag:place:{run_id}"
