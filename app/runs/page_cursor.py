"""The position of a job's page scan: Meta's cursor, kept in Redis for five minutes and nowhere else.

Cursors must not be stored (docs/meta-platform.md#conversations-api). After a loss the scan is planned again from the
job's items.
"""

import json
import logging
from dataclasses import asdict, dataclass

from app import redis_client
from app.calls.conversation_reader import SIZES
from app.redis_client import RedisUnavailable
from app.strict_json import load_json

logger = logging.getLogger(__name__)

LIFE_SECONDS = 300  # longer than the change of workers, a killed worker and a short pause
CURSOR_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The cursor `after` which the next page begins, that page's `size`, and the conversations read in smaller pages
    since the last page of full size.
    """

    after: str
    size: int = SIZES[0]
    read: int = 0


def save_cursor(run_id: str, position: PageCursor | None) -> None:
    """Store the position of a job's page scan, or delete it for None; never raises."""
    try:
        if position and len(position.after) <= CURSOR_CHARACTERS:
            redis_client.client().set(_key(run_id), json.dumps(asdict(position)), ex=LIFE_SECONDS)
        else:
            redis_client.client().delete(_key(run_id))
    except RedisUnavailable:
        logger.info("page cursor not stored: can't reach Redis", extra={"run": run_id})


def load_cursor(run_id: str) -> PageCursor | None:
    """Return the position of a job's page scan, None if it is unknown or expired."""
    try:
        stored = redis_client.client().get(_key(run_id))
    except RedisUnavailable:
        return None
    return _parse(stored) if isinstance(stored, bytes) else None


def _parse(stored: bytes) -> PageCursor | None:
    try:
        match load_json(stored):
            case {"after": str(after), "size": int(size), "read": int(read)} if 0 < size <= SIZES[0] and read >= 0:
                return PageCursor(after, size, read)
    except ValueError:
        pass
    return None


def _key(run_id: str) -> str:
    return f"nametag:place:{run_id}"
