"""Scheduler process: every second, run each duty that is due, or enqueue it for the workers.

What is due is in the database: a task lost in Redis is enqueued again. Slow duties run in a second thread. Health
checks and alert deliveries have threads of their own, because they wait for servers that do not answer. Several
schedulers may run at the same time: all duties are idempotent.
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

from app import clock, doctor, heartbeats, queue, redis_client, schedules, search_index
from app.accounts import health
from app.alerts import deliveries as alert_deliveries
from app.alerts import lifecycle as alerts
from app.backup import deletions
from app.db import engine
from app.db.engine import db
from app.db.transaction import DatabaseUnavailable
from app.erasure import accounts, recent
from app.errors import Unavailable
from app.identities import resolve
from app.ingest import indexing, message_updates, pending_updates
from app.insights import arrivals, hourly_stats
from app.runs import duties, gap_reports, job_events, kinds, leases, plan
from app.runs.duties import DutyOutcome

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUR_SECONDS = 3600
CHECK_SECONDS = 5  # how often duties that remember when they run are checked in the database
FIGURES_SECONDS = 300  # so that the last snapshot of an hour is near its end
FAILED = "It failed; the scheduler’s log says why"
STOP_SECONDS = 5.0  # for duties in progress when the scheduler stops; interrupted ones run again


def run() -> None:
    """Run duties until SIGTERM or SIGINT. Logs a duty that fails, and continues."""
    stop = threading.Event()

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    app = cast(Any, current_app)._get_current_object()
    apart = [
        threading.Thread(target=_run_apart, args=(app, duties_, stop), name=name, daemon=True)
        for name, duties_ in (("slow duties", SLOW), ("health checks", CHECKS), ("alert deliveries", DELIVERIES))
    ]
    for thread in apart:
        thread.start()
    _run_duties({duty: every for duty, every in DUTIES.items() if duty not in SLOW + CHECKS + DELIVERIES}, stop)
    for thread in apart:
        thread.join(STOP_SECONDS)


def _run_apart(app: Flask, these: tuple[Callable[[], object], ...], stop: threading.Event) -> None:
    with app.app_context():
        _run_duties({duty: every for duty, every in DUTIES.items() if duty in these}, stop)


def _run_duties(periods: dict[Callable[[], object], float], stop: threading.Event) -> None:
    due_at = {duty: clock.monotonic() + FIRST_AFTER.get(duty, 0) for duty in periods}
    while periods and not stop.wait(TICK_SECONDS):
        for duty, every_seconds in periods.items():
            if clock.monotonic() >= due_at[duty] and not stop.is_set():
                recorded = every_seconds >= HOUR_SECONDS or duty in SCHEDULES
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


def fetch_announced() -> None:
    """Enqueue lookups of announced messages that were not delivered and whose next lookup is due."""
    for account_id in pending_updates.due(clock.now()):
        queue.enqueue_once(queue.ANNOUNCED, account_id)


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


SCHEDULES = {each.duty: each for each in schedules.SCHEDULES}
DUTIES: dict[Callable[[], object], float] = {
    live: heartbeats.EVERY_SECONDS,
    kick_writers: 1,
    kick_runs: 2,
    kick_due: 60,
    message_updates.apply_arrived: 60,
    indexing.index_stored: 60,
    fetch_announced: 15,
    accounts.delete_pending: 5,
    scrub: 20,
    keep_deletions: 20,
    engine.trim_log: 20,
    hourly_stats.record: FIGURES_SECONDS,
    arrivals.record: HOUR_SECONDS,
    doctor.record: 30,
    alerts.record: 5,
    alert_deliveries.send_due: 2,
    job_events.record: 5,
    plan.count_large: 60,
    gap_reports.advance: 10,
    health.check_refused: HOUR_SECONDS,
    search_index.merge_indexes: HOUR_SECONDS,  # until then SQLite's indexes contain words of unsent messages
    **{duty: schedule.every.total_seconds() for duty, schedule in SCHEDULES.items()},
}
SLOW = (  # they call Meta, or change many rows
    *(message_updates.apply_arrived, indexing.index_stored, accounts.delete_pending, scrub, engine.trim_log),
    *(hourly_stats.record, arrivals.record, plan.count_large, health.check_refused, search_index.merge_indexes),
    *(duty for duty, schedule in SCHEDULES.items() if schedule.slow),
)
CHECKS = (doctor.record,)
DELIVERIES = (alert_deliveries.send_due,)  # apart from other duties: a receiver may hang
FIRST_AFTER: dict[Callable[[], object], float] = {alerts.record: 60}  # processes that start together are not missing
NOT_AT_FIRST = (  # a new installation has no work for them
    search_index.merge_indexes,
    *(duty for duty, schedule in SCHEDULES.items() if not schedule.at_first),
)


def _if_due(duty: Callable[[], object], every_seconds: float) -> Callable[[], None]:
    """Return the duty, run only if the database says that it is due: schedulers restart, and several may run."""
    name = SCHEDULES[duty].name if duty in SCHEDULES else f"{duty.__module__.rpartition('.')[2]}.{duty.__name__}"

    @functools.wraps(duty)
    def checked() -> None:
        if not duties.claim(name, timedelta(seconds=every_seconds), at_first=duty not in NOT_AT_FIRST):
            return
        try:
            outcome = schedules.perform(SCHEDULES[duty]) if duty in SCHEDULES else duty()
        except Exception as error:
            why = f"The {error.part} was not available" if isinstance(error, Unavailable) else FAILED
            duties.finish(name, DutyOutcome(None, skipped=why))
            raise
        duties.finish(name, outcome if isinstance(outcome, DutyOutcome) else DutyOutcome())

    return checked


def _perform(duty: Callable[[], object]) -> None:
    try:
        duty()
    except (Unavailable, *DatabaseUnavailable):
        logger.warning("scheduled duty postponed: can't reach the database", extra={"duty": duty.__name__})
    except Exception:
        logger.exception("scheduled duty failed", extra={"duty": duty.__name__})
    finally:
        db.session.remove()
