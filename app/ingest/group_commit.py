"""Deliveries that come at the same moment delivery a transaction: one turn at the database, one wait for the disk.

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
from app.instagram.webhook import WebhookItem

MAX_ITEMS = 200  # a transaction, so that other writers get their turn between (reliability.md 3.2)
PATIENCE_SECONDS = 0.5  # a delivery that has waited longer waits for a database that is held up
SLOW_SECONDS = 5.0  # how long a line counts as held up after a delivery waited there in vain

LockKey = tuple[str, str]  # what deliveries wait in: account and participant, or the one line of SQLite
SINGLE_WRITER: frozenset[LockKey] = frozenset({("", "")})


@dataclass(slots=True, eq=False)
class PendingDelivery:
    """One delivery's part of a transaction, and what became of it once `done`; `arrived_at` is when it got in line."""

    items: Sequence[WebhookItem]
    received_at: datetime
    locks: frozenset[LockKey] = SINGLE_WRITER
    dead_letters: int = 0
    to_look_up: set[int] = field(default_factory=set)
    done: bool = False
    error: Exception | None = None
    arrived_at: float = 0.0


_pending: deque[PendingDelivery] = deque()
_leader = threading.Lock()
_active: list[PendingDelivery] = []  # in the order in which they came
_slow: dict[LockKey, float] = {}
_lock = threading.Lock()  # of all that is above


def commit_with_others(
    delivery: PendingDelivery, commit: Callable[[Sequence[PendingDelivery]], None], *, shared: bool = True
) -> None:
    """Have `commit` finish this delivery, if `shared` with those of other threads that wait at the same moment.

    A thread whose turn it is settles its own delivery and those that are in line; `commit` must finish every delivery
    it is
    given. Raises the delivery's error, and Unavailable when no turn came in time or when enough others wait already.
    """
    with _registered(delivery):
        if not shared:
            commit([delivery])
        elif not _committed_in_turn(delivery, commit):
            raise Unavailable("database")
    if delivery.error:
        raise delivery.error


def waiting() -> int:
    """Return how many deliveries wait for a transaction to share."""
    return len(_pending)


def reset() -> None:
    """Forget which locks were held up."""
    _slow.clear()


@contextmanager
def _registered(delivery: PendingDelivery) -> Iterator[None]:
    delivery.arrived_at = clock.monotonic()
    with _lock:
        if _is_crowded(delivery):
            raise Unavailable("database")
        _active.append(delivery)
    try:
        yield
    finally:
        with _lock:
            _active.remove(delivery)
            _note_outcome(delivery)


def _is_crowded(delivery: PendingDelivery) -> bool:
    suspect = any(delivery.arrived_at < _slow.get(line, 0.0) for line in delivery.locks)
    late = delivery.arrived_at if suspect else delivery.arrived_at - PATIENCE_SECONDS
    ahead = sum(each.arrived_at <= late and not each.locks.isdisjoint(delivery.locks) for each in _active)
    return ahead >= most_waiting()


def most_waiting() -> int:
    """Return how many deliveries may wait for one lock."""
    return max(settings.current().web_threads // 2, 1)  # the other threads serve pages


def _note_outcome(delivery: PendingDelivery) -> None:
    now = clock.monotonic()
    if isinstance(delivery.error, Unavailable) or not delivery.done:
        _slow.update(dict.fromkeys(delivery.locks, now + SLOW_SECONDS))
    elif _slow:
        for line in [line for line, until in _slow.items() if until < now or line in delivery.locks]:
            del _slow[line]


def _committed_in_turn(delivery: PendingDelivery, commit: Callable[[Sequence[PendingDelivery]], None]) -> bool:
    with _lock:
        _pending.append(delivery)
    if not _became_leader(delivery):
        with _lock:
            if delivery in _pending:  # else another thread settles it right now, which is late, but does no harm
                _pending.remove(delivery)
        return delivery.done
    try:
        if not delivery.done:
            commit(_take_group(delivery))
    finally:
        _leader.release()
    return True


def _became_leader(delivery: PendingDelivery) -> bool:
    if _leader.acquire(blocking=False):
        return True
    with transaction.waiting() as left:
        if _leader.acquire(timeout=min(left, PATIENCE_SECONDS)):
            return True
        with _lock:
            place = _active.index(delivery)
        return place < most_waiting() and _leader.acquire(timeout=max(left - PATIENCE_SECONDS, 0))


def _take_group(delivery: PendingDelivery) -> list[PendingDelivery]:
    """Take this delivery out of the line, and as many of the first ones as there is room for."""
    taken, room = [delivery], MAX_ITEMS - len(delivery.items)
    with _lock:
        if delivery in _pending:
            _pending.remove(delivery)
        while _pending and len(_pending[0].items) <= room:
            taken.append(_pending.popleft())
            room -= len(taken[-1].items)
    return taken
