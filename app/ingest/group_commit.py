"""Group commit: deliveries that arrive at the same moment share one transaction and one disk write.

Only a few threads of the web server wait for a slow database. Further deliveries are refused, and Meta repeats them.
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

MAX_ITEMS = 200  # per transaction, so that other writers can run in between
PATIENCE_SECONDS = 0.5  # a longer wait means that the database is slow
SLOW_SECONDS = 5.0  # how long a lock counts as slow after a delivery failed to get it

LockKey = tuple[str, str]  # account and participant; SQLite has one lock for all
SINGLE_WRITER: frozenset[LockKey] = frozenset({("", "")})


@dataclass(slots=True, eq=False)
class PendingDelivery:
    """One delivery's part of a transaction, and its result once `done`. `arrived_at` is on the monotonic clock."""

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
_active: list[PendingDelivery] = []  # in order of arrival
_slow: dict[LockKey, float] = {}
_lock = threading.Lock()  # protects the four above


def commit_with_others(
    delivery: PendingDelivery, commit: Callable[[Sequence[PendingDelivery]], None], *, shared: bool = True
) -> None:
    """Commit this delivery with `commit`; if `shared`, together with the waiting deliveries of other threads.

    The leading thread commits its own delivery and the pending ones; `commit` must finish every delivery it gets.
    Raises the delivery's error; Unavailable if the wait took too long or too many deliveries wait already.
    """
    with _registered(delivery):
        if not shared:
            commit([delivery])
        elif not _commit_as_leader(delivery, commit):
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
    suspect = any(delivery.arrived_at < _slow.get(lock, 0.0) for lock in delivery.locks)
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
        for lock in [lock for lock, until in _slow.items() if until < now or lock in delivery.locks]:
            del _slow[lock]


def _commit_as_leader(delivery: PendingDelivery, commit: Callable[[Sequence[PendingDelivery]], None]) -> bool:
    with _lock:
        _pending.append(delivery)
    if not _became_leader(delivery):
        with _lock:
            if delivery in _pending:  # else another thread is committing it right now
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
    """Remove this delivery and the first pending ones from the queue, MAX_ITEMS items at most; return them."""
    group, remaining = [delivery], MAX_ITEMS - len(delivery.items)
    with _lock:
        if delivery in _pending:
            _pending.remove(delivery)
        while _pending and len(_pending[0].items) <= remaining:
            group.append(_pending.popleft())
            remaining -= len(group[-1].items)
    return group
