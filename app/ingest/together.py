"""Deliveries that come at the same moment share a transaction: one turn at the database, one wait for the disk."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.db.engine import WAIT_SECONDS
from app.errors import Unavailable
from app.instagram.webhook import Item

ITEMS = 200  # a transaction, so that other writers get their turn between (reliability.md 3.2)


@dataclass(slots=True, eq=False)
class Share:
    """One delivery's part of a transaction, and what became of it once `settled`."""

    items: Sequence[Item]
    received_at: datetime
    dead: int = 0
    waiting: set[int] = field(default_factory=set)
    settled: bool = False
    error: Exception | None = None


_line: deque[Share] = deque()
_leading = threading.Lock()


def land(share: Share, commit: Callable[[Sequence[Share]], None]) -> None:
    """Have `commit` settle this share, with those of other threads that wait at the same moment.

    Whoever comes to the front takes along all that have queued up behind; `commit` must settle every share it is given.
    Raises the share's error, and Unavailable when no turn came within two seconds.
    """
    _line.append(share)
    if not _leading.acquire(timeout=WAIT_SECONDS):
        raise Unavailable("database")  # the share stays in line: landing it late harms nobody, repeating it neither
    try:
        while not share.settled:
            commit(_next())
    finally:
        _leading.release()
    if share.error:
        raise share.error


def _next() -> list[Share]:
    taken = [_line.popleft()]
    room = ITEMS - len(taken[0].items)
    while _line and len(_line[0].items) <= room:
        room -= len(_line[0].items)
        taken.append(_line.popleft())
    return taken
