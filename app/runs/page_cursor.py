"""Where a run is among the conversation pages: a cursor of Meta's, kept in Redis for minutes and nowhere else.

Cursors die when their conversation goes and are not to be stored (instagram-platform.md 8). What is forgotten here is
planned anew from the ledger.
"""

import json
import logging
from dataclasses import asdict, dataclass

from app import redis_client
from app.calls.conversation_reader import SIZES
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

LIFE_SECONDS = 300  # over the end of a turn, a killed worker and a short pause
CURSOR_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The cursor `after` which the next page begins, that page's `size`, and the conversations read in smaller pages
    since the last page of full size.
    """

    after: str
    size: int = SIZES[0]
    read: int = 0


def save_cursor(run_id: str, kept: PageCursor | None) -> None:
    """Remember where a run's next page begins, or forget it; never raises."""
    try:
        if kept and len(kept.after) <= CURSOR_CHARACTERS:
            redis_client.client().set(_key(run_id), json.dumps(asdict(kept)), ex=LIFE_SECONDS)
        else:
            redis_client.client().delete(_key(run_id))
    except RedisUnavailable:
        logger.info("a place was not kept; Redis is away", extra={"run": run_id})


def load_cursor(run_id: str) -> PageCursor | None:
    """Return where a run's next page begins, None when that is not known (any more)."""
    try:
        kept = redis_client.client().get(_key(run_id))
    except RedisUnavailable:
        return None
    return _read(kept) if isinstance(kept, bytes) else None


def _read(kept: bytes) -> PageCursor | None:
    try:
        match json.loads(kept):
            case {"after": str(after), "size": int(size), "read": int(read)} if 0 < size <= SIZES[0] and read >= 0:
                return PageCursor(after, size, read)
    except ValueError:
        pass
    return None


def _key(run_id: str) -> str:
    return f"nametag:place:{run_id}"
