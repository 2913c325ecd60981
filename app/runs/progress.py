"""The progress of jobs: one Progress for pages, command line, API and the queue dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, select

from app import clock, queue
from app.db.engine import db
from app.errors import NotFound
from app.labels import label
from app.models.account import Account, AccountState
from app.models.run import ACTIVE, IS_ACTIVE, ItemState, LossCause, Run, RunItem, RunScope, RunState
from app.models.run import RunKind as RunKind
from app.runs import estimate, kinds, sync_words
from app.viewer import Viewer

PATIENCE = timedelta(seconds=30)  # a job that no worker has taken by then has none
HISTORY, HISTORY_ROWS = timedelta(days=90), 20
SOME_FAILED, WORKER_MISSING = "some_failed", "worker_missing"
STATES = (*RunState, SOME_FAILED, WORKER_MISSING)  # every value of Progress.state
JUST_NOW = timedelta(minutes=15)  # so long the panel shows the result of a job

_RUNS = select(Run, Account.username, Account.ig_account_id, Account.state).join(Account, Account.id == Run.account_id)


@dataclass(frozen=True, slots=True)
class Progress:
    """A job as users and API clients see it. Times are aware UTC; `state` is one of STATES.

    `place` is the position of a queued job, 1 for the next. `reconnect` says that the job waits for a working access
    token. `page` of `pages` is the conversation page being read, before contacts are looked up one by one; else 0.
    A retried job keeps its earlier `finished_at` until it ends again.

    Of a sync, contacts are conversations: `resolved` ones had new messages, `found` is how many, `fresh` ones had none.
    `total` is estimated until it ends. `lost` counts by cause the messages that it could not fetch.
    """

    run_id: str
    kind: RunKind
    title: str
    account_id: int
    ig_account_id: str
    account: str
    state: str
    active: bool
    reason: str | None
    started_by: str
    created_at: datetime
    finished_at: datetime | None
    resume_at: datetime | None
    total: int
    resolved: int
    fresh: int
    failed: int
    skipped: int
    calls: int
    cache_hits: int
    now: str | None
    per_second: float | None
    seconds_left: int | None
    days: int | None
    scope: RunScope
    paused_by: str | None
    paused_at: datetime | None
    reconnect: bool
    page: int
    pages: int
    found: int
    lost: Mapping[str, int]
    place: int | None = None

    @property
    def settled(self) -> int:
        """The number of contacts with a final result."""
        return self.resolved + self.fresh + self.failed + self.skipped

    @property
    def waiting(self) -> int:
        """The number of contacts without a final result."""
        return max(0, self.total - self.settled)

    @property
    def syncs(self) -> bool:
        """Whether the job syncs conversations and does not look contacts up."""
        return kinds.syncs(self.kind)

    @property
    def result(self) -> str:
        """The result so far in words: 1,000 conversations, 61 new messages."""
        if self.syncs:
            return sync_words.result(self.done, self.found, self.lost)
        return f"{self.resolved} resolved, {self.failed} failed"

    @property
    def planned(self) -> int:
        """The number of contacts to look up, without skipped ones."""
        return self.total - self.skipped

    @property
    def done(self) -> int:
        """The number of planned contacts with a final result."""
        return self.settled - self.skipped

    @property
    def percent(self) -> int:
        """The share of planned contacts with a final result; 100 only when all have one."""
        return 100 * self.done // self.planned if self.planned else 100

    @property
    def quarters(self) -> int:
        """The number of completed quarters, which the page announces."""
        return self.percent // 25

    @property
    def took_seconds(self) -> float | None:
        """The seconds from the request to the end, None before it."""
        return (self.finished_at - self.created_at).total_seconds() if self.finished_at else None

    @property
    def cache_percent(self) -> int | None:
        """The share of contacts with a result that cost no call, None before the first."""
        return 100 * self.cache_hits // self.done if self.done else None


def get_progress(viewer: Viewer, run_id: str) -> Progress:
    """Return the progress of one job; raises NotFound, also for one the viewer may not see."""
    row = db.session.execute(_visible(viewer).where(Run.id == run_id)).first()
    if row is None:
        raise NotFound("job")
    return _progress(row)


def get_current_progress(viewer: Viewer, run_id: str) -> Progress:
    """Return the progress of a job in a new snapshot of the database; raises NotFound."""
    db.session.rollback()
    return get_progress(viewer, run_id)


def active_runs(viewer: Viewer) -> list[Progress]:
    """Return the active jobs of the accounts the viewer may see, queued ones last."""
    found = _visible(viewer).where(IS_ACTIVE).order_by(Run.created_at)
    progresses = [_progress(row) for row in db.session.execute(found)]
    queued = [progress for progress in progresses if progress.state == RunState.QUEUED]
    running = [progress for progress in progresses if progress.state != RunState.QUEUED]
    return running + [replace(progress, place=position) for position, progress in enumerate(queued, start=1)]


def latest_reported(viewer: Viewer, active: Sequence[Progress]) -> Progress | None:
    """Return the running job once a lookup failed, else the job with lookups of the last 90 days that ended last.

    `active` are the viewer's active jobs.
    """
    failing = [run for run in active if run.place is None and run.failed]
    return next(iter(failing or history(viewer, limit=1, of=kinds.LOOKUPS)), None)


def just_ended(viewer: Viewer) -> Progress | None:
    """Return the job that ended last, None if that is longer ago than JUST_NOW."""
    last = next(iter(history(viewer, limit=1)), None)
    ended_at = last.finished_at if last else None
    return last if ended_at and ended_at > clock.now() - JUST_NOW else None


def history(
    viewer: Viewer, *, before: datetime | None = None, limit: int = HISTORY_ROWS, of: Sequence[RunKind] = ()
) -> list[Progress]:
    """Return the finished jobs of the last 90 days, newest first; with `before` (aware UTC), those started earlier.

    `of` limits them to some kinds.
    """
    since = clock.now() - HISTORY
    found = _visible(viewer).where(Run.state.not_in(ACTIVE), Run.created_at >= since)
    if of:
        found = found.where(Run.kind.in_(of))
    if before is not None:
        found = found.where(Run.created_at < before)
    return [_progress(row) for row in db.session.execute(found.order_by(Run.created_at.desc()).limit(limit))]


def ended(viewer: Viewer) -> str:
    """Return a key that changes with `history`: when a job ends, or is older than 90 days."""
    since = clock.now() - HISTORY
    found = select(func.count(), func.max(Run.finished_at)).where(Run.state.not_in(ACTIVE), Run.created_at >= since)
    found = viewer.visible(found, Run.account_id)
    number, last = db.session.execute(found).one()
    return f"ended-{number}-{last:%Y%m%d%H%M%S%f}" if last else "ended"


def publish(run_id: str, *, final: bool = False) -> None:
    """Write the progress of a job into the meta of its RQ tasks, at most twice a second."""
    queue.report(run_id, lambda: _reported(run_id), final=final)


def as_dict(progress: Progress) -> dict[str, Any]:
    """Return a progress as JSON of the API and of commands; times are RFC 3339."""
    return {
        "id": progress.run_id,
        "kind": progress.kind.value,
        "accountId": progress.ig_account_id,
        "state": progress.state,
        "reason": progress.reason,
        "scope": progress.scope.value,
        "startedBy": progress.started_by,
        "pausedBy": progress.paused_by,
        "pausedAt": clock.rfc3339(progress.paused_at),
        "createdAt": clock.rfc3339(progress.created_at),
        "finishedAt": clock.rfc3339(None if progress.active else progress.finished_at),
        "resumeAt": clock.rfc3339(progress.resume_at),
        "total": progress.total,
        "done": progress.settled,
        "resolved": progress.resolved,
        "alreadyFresh": progress.fresh,
        "failed": progress.failed,
        "skipped": progress.skipped,
        "calls": progress.calls,
        "cacheHits": progress.cache_hits,
        "secondsLeft": progress.seconds_left,
        "newMessages": progress.found if progress.syncs else None,
        "notGiven": LossCause.counts(progress.lost) if progress.syncs else None,
    }


def _visible(viewer: Viewer) -> Select[Run, str | None, str, AccountState]:
    return viewer.visible(_RUNS, Run.account_id)


def _reported(run_id: str) -> dict[str, Any]:
    row = db.session.execute(_RUNS.where(Run.id == run_id)).first()
    return as_dict(_progress(row)) if row is not None else {}


def _progress(row: Row[Run, str | None, str, AccountState]) -> Progress:
    run = row.Run
    settled = run.resolved + run.fresh + run.failed + run.skipped
    at_work, paused = run.state in ACTIVE, run.state is RunState.PAUSED
    reconnect = run.state is RunState.WAITING and row.state is AccountState.RECONNECT
    syncs = kinds.syncs(run.kind)
    reads_pages = run.state is RunState.RUNNING and (syncs or run.scanned_pages < run.scan_pages)
    return Progress(
        run_id=run.id,
        kind=run.kind,
        title=label(run.kind),
        account_id=run.account_id,
        ig_account_id=row.ig_account_id,
        account=row.username or row.ig_account_id,
        state=_state(run),
        active=at_work,
        reason=run.reason,
        started_by=run.started_by,
        created_at=run.created_at,
        finished_at=run.finished_at,
        resume_at=estimate.resume_at(run),
        total=max(run.total, settled + 1) if syncs and at_work else run.total,
        resolved=run.resolved,
        fresh=run.fresh,
        failed=run.failed,
        skipped=run.skipped,
        calls=run.calls,
        cache_hits=run.cache_hits,
        now=_now(run.id) if run.state is RunState.RUNNING and not reads_pages else None,
        per_second=estimate.per_second(run),
        seconds_left=estimate.seconds_left(run) if at_work and not paused and not reconnect else None,
        days=run.days,
        scope=run.scope,
        paused_by=run.paused_by if paused else None,
        paused_at=run.paused_at if paused else None,
        reconnect=reconnect,
        page=run.scanned_pages + 1 if reads_pages else 0,
        pages=max(run.scan_pages, run.scanned_pages + 1) if reads_pages else 0,
        found=run.found,
        lost=run.lost or {},
    )


def _state(run: Run) -> str:
    if run.state is RunState.DONE and run.failed:
        return SOME_FAILED
    untaken = run.state is RunState.QUEUED and run.lease_until is None
    due_since = max(run.created_at, run.resume_at or run.created_at)  # of a retry, since it was requested
    if untaken and due_since < clock.now() - PATIENCE:
        return WORKER_MISSING
    return run.state.value


def _now(run_id: str) -> str | None:
    """Return the ID of the contact being looked up: the first open item."""
    first = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.PENDING)
    return db.session.execute(first.order_by(RunItem.position).limit(1)).scalar()
