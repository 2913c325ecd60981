"""The scheduler process: finds what is due every second and enqueues it for the workers.

Hints in Redis may be lost; what is due stands in rows, so nothing is found later than the next tick. What takes longer
than a tick has a thread of its own. Several schedulers may run at the same time: every hint and every piece of work may
come twice.
"""

import functools
import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any, cast

from flask import Flask, current_app

from app import audit, clock, heartbeats, queue, redis_client, tombstones
from app.accounts import health, subscriptions, tokens
from app.db import engine, transaction
from app.db.engine import db
from app.db.transaction import DatabaseUnavailable
from app.erasure import accounts, recent
from app.errors import Unavailable
from app.identities import avatars, resolve
from app.inbox import search
from app.ingest import dead_letters, message_updates, pending_updates, sync
from app.insights import hourly_stats
from app.runs import duties, kinds, leases, lifecycle
from app.users import sessions

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
CHECK_SECONDS = 60  # how often the table is read for hourly and daily duties
FIGURES_SECONDS = 300  # what an hour came to is noted that often, so that its last note is near its end
STOP_SECONDS = 5.0  # for work in progress when the scheduler is stopped; whatever is cut off is found again


def run() -> None:
    """Tick until SIGTERM or SIGINT; a tick that fails is logged and the next one comes all the same."""
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    app = cast(Any, current_app)._get_current_object()
    beside = threading.Thread(target=_work_beside, args=(app, stop), name="slow duties", daemon=True)
    beside.start()
    _work(_duties(slow=False), stop)
    beside.join(STOP_SECONDS)


def _work_beside(app: Flask, stop: threading.Event) -> None:
    with app.app_context():
        _work(_duties(slow=True), stop)


def _duties(*, slow: bool) -> dict[Callable[[], None], float]:
    return {duty: every for duty, every in DUTIES.items() if (duty in SLOW) is slow}


def _work(periods: dict[Callable[[], None], float], stop: threading.Event) -> None:
    due_at = dict.fromkeys(periods, clock.monotonic())
    while periods and not stop.wait(TICK_SECONDS):
        for duty, every_seconds in periods.items():
            if clock.monotonic() >= due_at[duty] and not stop.is_set():
                recorded = every_seconds >= HOUR_SECONDS
                due_at[duty] = clock.monotonic() + (CHECK_SECONDS if recorded else every_seconds)
                _perform(_if_due(duty, every_seconds) if recorded else duty)


def live() -> None:
    """Record that the scheduler runs."""
    heartbeats.beat(heartbeats.SCHEDULER)


def kick_writers() -> None:
    """Enqueue lookups of the contacts who are writing now, again until a worker takes them."""
    for account_id in resolve.accounts_due(clock.now(), live=True):
        queue.enqueue_once(queue.RESOLVE, account_id)


def kick_runs() -> None:
    """Bring runs to work that may go on and that nobody works on: after a pause, a lost hint, a killed worker."""
    for run_id, kind in leases.ready(clock.now()):
        queue.enqueue_once(kinds.RULES[kind].task, run_id)


def kick_due() -> None:
    """Have people looked up again whose time has come: retries, and those who were not writing when they were met."""
    resolve.correct_times()
    for account_id in resolve.accounts_due(clock.now(), live=False):
        queue.enqueue_once(queue.RESOLVE, account_id)


def fetch_pictures() -> None:
    """Have the pictures fetched that profiles brought."""
    for account_id in avatars.accounts_with_pending():
        queue.enqueue_once(queue.AVATARS, account_id)


def fetch_announced() -> None:
    """Have announced messages looked for that were not delivered and whose next try is due."""
    for account_id in pending_updates.due(clock.now()):
        queue.enqueue_once(queue.ANNOUNCED, account_id)


def reconcile() -> None:
    """Have every connected account's newest conversations synced, for messages whose webhook was lost."""
    for account_id in sync.connected_accounts():
        queue.enqueue_once(queue.SYNC, account_id)


def purge() -> None:
    """Delete what is no longer needed: pending message updates, old dead letters, audit entries, ended sessions."""
    now = clock.now()
    with transaction.write() as tx:
        gone = {
            "effects": pending_updates.purge(tx, now),
            "dead_letters": dead_letters.purge(tx, now),
            "audit_entries": audit.purge(tx, now),
            "deleted_events": tombstones.purge(tx, now),
            "ended_sessions": sessions.purge(tx, now),
        }
        hourly_stats.purge(tx, now)
    if any(gone.values()):
        logger.info("what is too old was forgotten", extra=gone)


def scrub() -> None:
    """Clear files of what was deleted or unsent: SQLite's log always, its search indexes and Redis' file after a
    deletion. PostgreSQL vacuums by itself.
    """
    if recent.deleted_recently():
        db.session.rollback()
        search.merge_indexes()
        redis_client.rewrite_file()
    db.session.rollback()
    engine.empty_log()


DUTIES: dict[Callable[[], None], float] = {
    live: heartbeats.EVERY_SECONDS,
    kick_writers: 1,
    kick_runs: 2,
    kick_due: 60,
    message_updates.apply_arrived: 60,
    fetch_announced: 15,
    fetch_pictures: 10,
    accounts.delete_pending: 5,
    scrub: 20,
    engine.trim_log: 20,
    hourly_stats.record: FIGURES_SECONDS,
    purge: HOUR_SECONDS,
    reconcile: HOUR_SECONDS,
    lifecycle.refresh_expiring: HOUR_SECONDS,
    subscriptions.check_all: DAY_SECONDS,
    health.check_refused: HOUR_SECONDS,
    tokens.refresh_due: HOUR_SECONDS,
    search.merge_indexes: HOUR_SECONDS,  # the words of unsent messages stay in SQLite's indexes until then
}
SLOW = (  # they call Meta, or change many rows
    *(message_updates.apply_arrived, accounts.delete_pending, scrub, engine.trim_log, hourly_stats.record, purge),
    *(
        lifecycle.refresh_expiring,
        subscriptions.check_all,
        health.check_refused,
        tokens.refresh_due,
        search.merge_indexes,
    ),
)
NOT_AT_FIRST = (
    purge,
    reconcile,
    lifecycle.refresh_expiring,
    search.merge_indexes,
)  # a new installation has no work for them


def _if_due(duty: Callable[[], None], every_seconds: float) -> Callable[[], None]:
    """Return the duty for schedulers that are restarted or of which several run: the table says whether it is due."""

    @functools.wraps(duty)
    def checked() -> None:
        name = f"{duty.__module__.rpartition('.')[2]}.{duty.__name__}"
        if duties.claim(name, timedelta(seconds=every_seconds), at_first=duty not in NOT_AT_FIRST):
            duty()

    return checked


def _perform(duty: Callable[[], None]) -> None:
    try:
        duty()
    except (Unavailable, *DatabaseUnavailable):
        logger.warning("the database is away; the scheduler waits", extra={"duty": duty.__name__})
    except Exception:
        logger.exception("a duty of the scheduler failed", extra={"duty": duty.__name__})
    finally:
        db.session.remove()
