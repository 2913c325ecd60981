"""Counters and histograms of what processes do, added up in Redis so that one scrape shows all processes and hosts.

Counting takes a lock and an addition. A thread sends the sums of a second to one hash in Redis; a task's fork, which
ends soon, sends its own when the task ends. If Redis loses its data, counters begin again at 0, as after a restart,
which Prometheus expects. What a killed process had not sent is lost.
"""

import atexit
import logging
import os
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app import clock, redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

KEY = "nametag:metrics"
SEND_SECONDS = 1.0
PENDING = 10_000  # different sums that are kept while Redis is unavailable
SEPARATOR = "\x1f"  # in no label
SUM = "sum"


@dataclass(frozen=True, slots=True)
class Measure:
    """A counter, or a histogram if it has `buckets` (upper limits in seconds). `labels` are names, in order."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def add(self, *labels: str, number: int = 1) -> None:
        """Count `number` more."""
        _add(((self.name, *labels), number))

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one event that took `seconds`; what is below 0, by clocks that differ, counts as 0."""
        bucket = bisect_left(self.buckets, seconds)
        _add(((self.name, *labels, str(bucket)), 1), ((self.name, *labels, SUM), max(seconds, 0.0)))


FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)

REQUEST_SECONDS = Measure("nametag_http_request_seconds", "Time of HTTP requests, by route", ("method", "route"), FAST)
RESPONSES = Measure("nametag_http_responses", "HTTP responses", ("method", "route", "status"))
DELIVERY_SECONDS = Measure(
    "nametag_webhook_delivery_seconds", "Time of webhook deliveries until the response", ("outcome",), FAST
)
EVENTS = Measure("nametag_webhook_events", "Webhook events that were processed or kept as dead letters", ("kind",))
LAG_SECONDS = Measure(
    "nametag_webhook_lag_seconds", "From Meta's time of a message to its arrival by webhook", (), SLOW
)
DEAD_LETTERS = Measure("nametag_dead_letters", "Events that were kept as dead letters", ("reason",))
LOOKUP_SECONDS = Measure(
    "nametag_lookup_seconds",
    "Time of lookups; outcome: resolved, fresh or why it failed",
    ("outcome",),
    FAST,
)
NAMING_SECONDS = Measure(
    "nametag_time_to_name_seconds", "From a contact's first appearance to the first name", (), SLOW
)
API_CALLS = Measure("nametag_api_calls", "Calls to Meta", ("account", "purpose", "call", "result"))
CACHE = Measure("nametag_identity_cache", "Contacts looked for in the identity cache", ("result",))

MEASURES = (
    *(REQUEST_SECONDS, RESPONSES, DELIVERY_SECONDS, EVENTS, LAG_SECONDS, DEAD_LETTERS, LOOKUP_SECONDS),
    *(NAMING_SECONDS, API_CALLS, CACHE),
)

_pending: dict[tuple[str, ...], float] = {}  # by measure and labels
_lock = threading.Lock()


def start_sending() -> None:
    """Send the sums of this process from a thread, every second and when the process ends. For a long-running one."""
    threading.Thread(target=_send_in_background, name="metrics", daemon=True).start()
    atexit.register(send)


def send() -> None:
    """Add the sums of this process to those in Redis. Keeps them if Redis is unavailable."""
    global _pending
    with _lock:
        sums, _pending = _pending, {}
    if not sums:
        return
    try:
        pipeline = redis_client.client().pipeline(transaction=True)
        for field, number in sums.items():
            pipeline.hincrbyfloat(KEY, SEPARATOR.join(field), number)
        pipeline.execute()
    except RedisUnavailable:
        _add(*sums.items())
        with _lock:
            if len(_pending) > PENDING:
                _pending.clear()
                logger.warning("metrics discarded: can't reach Redis")


def read() -> dict[str, dict[tuple[str, ...], float]]:
    """Return the sums in Redis by measure and labels. Raises RedisUnavailable."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    stored: dict[bytes, bytes] = redis_client.client().hgetall(KEY)  # type: ignore[assignment]  # of redis-py's types
    for field, number in stored.items():
        name, *labels = field.decode(errors="replace").split(SEPARATOR)
        found.setdefault(name, {})[tuple(labels)] = float(number)
    return found


def histograms(
    measure: Measure, sums: dict[tuple[str, ...], float]
) -> Iterator[tuple[tuple[str, ...], Sequence[tuple[str, float]], float]]:
    """Yield labels, cumulative buckets (upper limit, count) and sum of each histogram of a measure."""
    for labels in sorted({key[:-1] for key in sums}):
        total, buckets = 0.0, list[tuple[str, float]]()
        for index, limit in enumerate((*map(str, map(float, measure.buckets)), "+Inf")):
            total += sums.get((*labels, str(index)), 0)
            buckets.append((limit, total))
        yield labels, buckets, sums.get((*labels, SUM), 0)


def _add(*changes: tuple[tuple[str, ...], float]) -> None:
    with _lock:
        for field, number in changes:
            _pending[field] = _pending.get(field, 0) + number


def _send_in_background() -> None:
    while True:
        clock.sleep(SEND_SECONDS)
        send()


def _forget() -> None:
    global _pending, _lock
    _pending, _lock = {}, threading.Lock()  # the parent sends its own


os.register_at_fork(after_in_child=_forget)
