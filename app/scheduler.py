"""Scheduler process: every second, run each duty that is due, or enqueue it for the workers.

What is due is in the database: a task lost in Redis is enqueued again. Slow duties run in a second thread, health
checks in a third one, because they wait for servers that do not answer. Several schedulers may run at the same time:
all duties are idempotent.
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

from app import audit, clock, counters, doctor, heartbeats, queue, read_state, redis_client, tombstones
from app.accounts import health, subscriptions, tokens
from app.backup import deletions
from app.db import engine, transaction
from app.db.engine import db
from app.db.transaction import DatabaseUnavailable
from app.erasure import accounts, recent
from app.errors import Unavailable
from app.identities import avatars, resolve
from app.inbox import search_index
from app.ingest import dead_letters, indexing, message_updates, pending_updates, sync
from app.insights import hourly_stats
from app.runs import duties, kinds, leases, lifecycle, plan, retention
from app.users import sessions

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
CHECK_SECONDS = 60  # how often hourly and daily duties are checked in the database
FIGURES_SECONDS = 300  # so that the last snapshot of an hour is near its end
STOP_SECONDS = 5.0  # for duties in progress when the scheduler stops; interrupted ones run again


def run() -> None:
    """Run duties until SIGTERM or SIGINT. Logs a duty that fails, and continues."""
    stop = threading.Event()

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    counters.start_sending()
    app = cast(Any, current_app)._get_current_object()
    apart = [
        threading.Thread(target=_run_apart, args=(app, duties_, stop), name=name, daemon=True)
        for name, duties_ in (("slow duties", SLOW), ("health checks", CHECKS))
    ]
    for thread in apart:
        thread.start()
    _run_duties({duty: every for duty, every in DUTIES.items() if duty not in SLOW + CHECKS}, stop)
    for thread in apart:
        thread.join(STOP_SECONDS)


def _run_apart(app: Flask, these: tuple[Callable[[], None], ...], stop: threading.Event) -> None:
    with app.app_context():
        _run_duties({duty: every for duty, every in DUTIES.items() if duty in these}, stop)


def _run_duties(periods: dict[Callable[[], None], float], stop: threading.Event) -> None:
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
    """Enqueue jobs that can continue but have no worker: after a pause, a lost task or a killed worker."""
    for run_id, kind in leases.ready(clock.now()):
        queue.enqueue_once(kinds.RULES[kind].task, run_id)


def kick_due() -> None:
    """Enqueue lookups that are due: retries, and contacts who were not writing when first seen."""
    resolve.correct_times()
    for account_id in resolve.accounts_due(clock.now(), live=False):
        queue.enqueue_once(queue.RESOLVE, account_id)


def fetch_pictures() -> None:
    """Enqueue downloads of new profile pictures."""
    for account_id in avatars.accounts_with_pending():
        queue.enqueue_once(queue.AVATARS, account_id)


def fetch_announced() -> None:
    """Enqueue lookups of announced messages that were not delivered and whose next lookup is due."""
    for account_id in pending_updates.due(clock.now()):
        queue.enqueue_once(queue.ANNOUNCED, account_id)


def reconcile() -> None:
    """Enqueue a sync of every connected account, to store messages whose webhook was lost."""
    for account_id in sync.connected_accounts():
        queue.enqueue_once(queue.SYNC, account_id)


def purge() -> None:
    """Delete expired records: pending updates, dead letters, tombstones, audit entries, sessions, items of jobs …"""
    now = clock.now()
    with transaction.write() as tx:
        gone = {
            "effects": pending_updates.purge(tx, now),
            "dead_letters": dead_letters.purge(tx, now),
            "audit_entries": audit.purge(tx, now),
            "deleted_events": tombstones.purge(tx, now),
            "ended_sessions": sessions.purge(tx, now),
            "unread_by_user": read_state.purge(tx, now),
        }
        hourly_stats.purge(tx, now)
    gone["items_of_jobs"] = retention.purge()
    if any(gone.values()):
        logger.info("purged expired records", extra=gone)


def scrub() -> None:
    """Remove deleted and unsent content from files of SQLite and Redis.

    That is SQLite's log and, after a deletion, its search indexes and Redis' file. PostgreSQL vacuums automatically.
    """
    if recent.deleted_recently():
        db.session.rollback()
        search_index.merge_indexes()
        redis_client.rewrite_file()
    db.session.rollback()
    engine.empty_log()


def keep_deletions() -> None:
    """Write the list of deletions that a restore must repeat, if it has grown."""
    deletions.keep()


DUTIES: dict[Callable[[], None], float] = {
    live: heartbeats.EVERY_SECONDS,
    kick_writers: 1,
    kick_runs: 2,
    kick_due: 60,
    message_updates.apply_arrived: 60,
    indexing.index_stored: 60,
    fetch_announced: 15,
    fetch_pictures: 10,
    accounts.delete_pending: 5,
    scrub: 20,
    keep_deletions: 20,
    engine.trim_log: 20,
    hourly_stats.record: FIGURES_SECONDS,
    doctor.record: 60,
    plan.count_large: 60,
    purge: HOUR_SECONDS,
    reconcile: HOUR_SECONDS,
    lifecycle.refresh_expiring: HOUR_SECONDS,
    subscriptions.check_all: DAY_SECONDS,
    health.check_refused: HOUR_SECONDS,
    tokens.refresh_due: HOUR_SECONDS,
    search_index.merge_indexes: HOUR_SECONDS,  # until then SQLite's indexes contain words of unsent messages
}
SLOW = (  # they call Meta, or change many rows
    *(message_updates.apply_arrived, indexing.index_stored, accounts.delete_pending, scrub, engine.trim_log),
    *(hourly_stats.record, purge, plan.count_large),
    *(
        lifecycle.refresh_expiring,
        subscriptions.check_all,
        health.check_refused,
        tokens.refresh_due,
        search_index.merge_indexes,
    ),
)
CHECKS = (doctor.record,)
NOT_AT_FIRST = (
    purge,
    reconcile,
    lifecycle.refresh_expiring,
    search_index.merge_indexes,
)  # a new installation has no work for them


def _if_due(duty: Callable[[], None], every_seconds: float) -> Callable[[], None]:
    """Return the duty, run only if the database says that it is due: schedulers restart, and several may run."""

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
        logger.warning("scheduled duty postponed: can't reach the database", extra={"duty": duty.__name__})
    except Exception:
        logger.exception("scheduled duty failed", extra={"duty": duty.__name__})
    finally:
        db.session.remove()
