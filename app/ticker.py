"""The scheduler process: asks each room in turn what is due, and kicks the workers or does it itself.

Hints in Redis may be lost; what is due stands in rows, so nothing is found later than the next tick. Several tickers
may run at once: every hint and every piece of work may come twice.
"""

import functools
import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

from app import audit, clock, queue
from app.accounts import health, subscriptions, tokens
from app.db import engine, transaction
from app.db.engine import db
from app.db.transaction import DatabaseAway
from app.errors import Unavailable
from app.identities import avatars, resolve
from app.inbox import figures, search
from app.ingest import dead_letters, effects, forget, sync, waiting
from app.runs import beats, duties, ledger, plan

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
CHECK_SECONDS = 60  # how often the table is read for hourly and daily duties
FIGURES_SECONDS = 300  # what an hour came to is noted that often, so that its last note is near its end
NEGLECTED = timedelta(seconds=5)  # people who wait longer than this have no worker: the ticker names them itself


def run() -> None:
    """Tick until SIGTERM or SIGINT; a tick that fails is logged and the next one comes all the same."""
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    due_at = dict.fromkeys(DUTIES, clock.monotonic())
    while not stop.wait(TICK_SECONDS):
        for duty, every_seconds in DUTIES.items():
            if clock.monotonic() >= due_at[duty] and not stop.is_set():
                recorded = every_seconds >= HOUR_SECONDS
                due_at[duty] = clock.monotonic() + (CHECK_SECONDS if recorded else every_seconds)
                _perform(_if_due(duty, every_seconds) if recorded else duty)


def live() -> None:
    """Say that the scheduler is alive."""
    beats.beat(beats.SCHEDULER)


def kick_writers() -> None:
    """Have the people named who are writing now; whom no worker takes within five seconds is named right here."""
    now = clock.now()
    for account_id in resolve.due(now, live=True):
        queue.enqueue_once(queue.RESOLVE, account_id)
    for account_id in resolve.due(now - NEGLECTED, live=True):
        resolve.waiting(account_id)


def kick_runs() -> None:
    """Bring runs to work that may go on and that nobody works on: after a pause, a lost hint, a killed worker."""
    for run_id, kind in ledger.ready(clock.now()):
        queue.enqueue_once(plan.TASK[kind], run_id)


def kick_due() -> None:
    """Have people looked up again whose time has come: retries, and those who were not writing when they were met."""
    for account_id in resolve.due(clock.now(), live=False):
        queue.enqueue_once(queue.RESOLVE, account_id)


def fetch_pictures() -> None:
    """Have the pictures fetched that profiles brought."""
    for account_id in avatars.pending():
        queue.enqueue_once(queue.AVATARS, account_id)


def fetch_announced() -> None:
    """Have conversations read back of which a message was announced but not delivered (an edit number 0)."""
    for account_id in waiting.announced(clock.now()):
        queue.enqueue_once(queue.SYNC, account_id)


def reconcile() -> None:
    """Have every connected account's newest conversations read back, for messages whose webhook was lost."""
    for account_id in sync.connected():
        queue.enqueue_once(queue.SYNC, account_id)


def purge() -> None:
    """Forget what nobody needs any more: effects whose message never came, old dead letters, old audit entries."""
    now = clock.now()
    with transaction.write() as tx:
        gone = {
            "effects": waiting.purge(tx, now),
            "dead_letters": dead_letters.purge(tx, now),
            "audit_entries": audit.purge(tx, now),
        }
        figures.purge(tx, now)
    if any(gone.values()):
        logger.info("what is too old was forgotten", extra=gone)


def scrub() -> None:
    """Clear SQLite's files of what was just deleted (reliability.md S53); PostgreSQL vacuums by itself."""
    if forget.lately():
        db.session.rollback()
        search.tidy()
        engine.empty_log()


DUTIES: dict[Callable[[], None], float] = {
    live: beats.EVERY_SECONDS,
    kick_writers: 1,
    kick_runs: 2,
    kick_due: 60,
    effects.settle_met: 60,
    fetch_announced: 15,
    fetch_pictures: 10,
    forget.accounts: 5,
    scrub: 20,
    figures.note: FIGURES_SECONDS,
    purge: HOUR_SECONDS,
    reconcile: HOUR_SECONDS,
    plan.refresh_expiring: HOUR_SECONDS,
    subscriptions.check_all: DAY_SECONDS,
    health.prove_all: HOUR_SECONDS,
    tokens.refresh_due: HOUR_SECONDS,
    search.tidy: DAY_SECONDS,
}
NOT_AT_FIRST = (purge, reconcile, plan.refresh_expiring, search.tidy)  # a new installation has no work for them


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
    except (Unavailable, *DatabaseAway):
        logger.warning("the database is away; the scheduler waits", extra={"duty": duty.__name__})
    except Exception:
        logger.exception("a duty of the scheduler failed", extra={"duty": duty.__name__})
    finally:
        db.session.remove()
