"""Deliveries that come at the same moment share a transaction: one turn at the database, one wait for the disk.

A database that keeps deliveries waiting must not take every thread of the web server: only a few of them wait for it,
the others are refused, and Meta repeats them.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from app import clock, settings
from app.db import transaction
from app.errors import Unavailable
from app.instagram.webhook import Item

ITEMS = 200  # a transaction, so that other writers get their turn between (reliability.md 3.2)
PATIENCE_SECONDS = 0.5  # a delivery that has waited longer waits for a database that is held up
SUSPECT_SECONDS = 5.0  # how long a line counts as held up after a delivery waited there in vain

Line = tuple[str, str]  # what deliveries wait in: account and participant, or the one line of SQLite
ONE_LINE: frozenset[Line] = frozenset({("", "")})


@dataclass(slots=True, eq=False)
class Share:
    """One delivery's part of a transaction, and what became of it once `settled`; `since` is when it got in line."""

    items: Sequence[Item]
    received_at: datetime
    lines: frozenset[Line] = ONE_LINE
    dead: int = 0
    waiting: set[int] = field(default_factory=set)
    settled: bool = False
    error: Exception | None = None
    since: float = 0.0


_line: deque[Share] = deque()
_leading = threading.Lock()
_inside: list[Share] = []  # in the order in which they came
_suspect: dict[Line, float] = {}
_lock = threading.Lock()  # of all that is above


def land(share: Share, commit: Callable[[Sequence[Share]], None], *, shared: bool = True) -> None:
    """Have `commit` settle this share, if `shared` with those of other threads that wait at the same moment.

    A thread whose turn it is settles its own share and those that are in line; `commit` must settle every share it is
    given. Raises the share's error, and Unavailable when no turn came in time or when enough others wait already.
    """
    with _entered(share):
        if not shared:
            commit([share])
        elif not _in_turn(share, commit):
            raise Unavailable("database")
    if share.error:
        raise share.error


@contextmanager
def _entered(share: Share) -> Iterator[None]:
    share.since = clock.monotonic()
    with _lock:
        if _is_crowded(share):
            raise Unavailable("database")
        _inside.append(share)
    try:
        yield
    finally:
        with _lock:
            _inside.remove(share)
            _judge(share)


def _is_crowded(share: Share) -> bool:
    suspect = any(share.since < _suspect.get(line, 0.0) for line in share.lines)
    late = share.since if suspect else share.since - PATIENCE_SECONDS
    ahead = sum(each.since <= late and not each.lines.isdisjoint(share.lines) for each in _inside)
    return ahead >= _most_waiting()


def _most_waiting() -> int:
    return max(settings.current().web_threads // 2, 1)  # the other threads serve pages


def _judge(share: Share) -> None:
    now = clock.monotonic()
    if isinstance(share.error, Unavailable) or not share.settled:
        _suspect.update(dict.fromkeys(share.lines, now + SUSPECT_SECONDS))
    elif _suspect:
        for line in [line for line, until in _suspect.items() if until < now or line in share.lines]:
            del _suspect[line]


def _in_turn(share: Share, commit: Callable[[Sequence[Share]], None]) -> bool:
    with _lock:
        _line.append(share)
    if not _await_turn(share):
        with _lock:
            if share in _line:  # else another thread settles it right now, which is late, but does no harm
                _line.remove(share)
        return share.settled
    try:
        if not share.settled:
            commit(_taken(share))
    finally:
        _leading.release()
    return True


def _await_turn(share: Share) -> bool:
    if _leading.acquire(blocking=False):
        return True
    with transaction.waiting() as left:
        if _leading.acquire(timeout=min(left, PATIENCE_SECONDS)):
            return True
        with _lock:
            place = _inside.index(share)
        return place < _most_waiting() and _leading.acquire(timeout=max(left - PATIENCE_SECONDS, 0))


def _taken(share: Share) -> list[Share]:
    """Take this share out of the line, and as many of the first ones as there is room for."""
    taken, room = [share], ITEMS - len(share.items)
    with _lock:
        if share in _line:
            _line.remove(share)
        while _line and len(_line[0].items) <= room:
            taken.append(_line.popleft())
            room -= len(taken[-1].items)
    return taken
