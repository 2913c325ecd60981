"""How far a run is: one Progress for the page, the command line, the API and the meta of RQ's job."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Row, Select, func, select

from app import clock, queue
from app.db.engine import db
from app.errors import NotFound
from app.labels import label
from app.models.inbox import Account, AccountState
from app.models.run import ACTIVE, ItemState, Run, RunItem, RunState
from app.models.run import RunKind as RunKind
from app.runs import estimate
from app.viewer import Viewer

PATIENCE = timedelta(seconds=30)  # a run that no worker has taken by then has no worker
HISTORY = timedelta(days=7)
SOME_FAILED, WORKER_MISSING = "some_failed", "worker_missing"
STATES = (*RunState, SOME_FAILED, WORKER_MISSING)  # every value of Progress.state
JUST_NOW = timedelta(minutes=15)  # so long the panel shows what a run that ended has come to

_RUNS = select(Run, Account.username, Account.ig_account_id, Account.state).join(Account, Account.id == Run.account_id)


@dataclass(frozen=True, slots=True)
class Progress:
    """A run as everybody sees it. Times are aware UTC; `state` is the run's, or "some_failed" and "worker_missing".

    `place` is a waiting run's place in the line, 1 for the next. `reconnect` says that the job waits for a working
    access token. `page` of `pages` is the conversation page being read, before contacts are looked up alone; else 0.
    A retried job keeps the `finished_at` of before until it ends once more.
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
    worked_seconds: float
    now: str | None
    per_second: float | None
    seconds_left: int | None
    days: int | None
    reconnect: bool
    page: int
    pages: int
    place: int | None = None

    @property
    def settled(self) -> int:
        """How many people the run is done with."""
        return self.resolved + self.fresh + self.failed + self.skipped

    @property
    def waiting(self) -> int:
        """How many people are still to come."""
        return max(0, self.total - self.settled)

    @property
    def planned(self) -> int:
        """How many contacts the job looks up: not those it skips."""
        return self.total - self.skipped

    @property
    def done(self) -> int:
        """How many of the planned contacts the job is done with."""
        return self.settled - self.skipped

    @property
    def percent(self) -> int:
        """How much of what is planned is done; 100 only when all is."""
        return 100 * self.done // self.planned if self.planned else 100

    @property
    def quarters(self) -> int:
        """How many quarters are settled, as they are announced."""
        return self.percent // 25

    @property
    def took_seconds(self) -> float | None:
        """How long it took from being asked for to its end."""
        return (self.finished_at - self.created_at).total_seconds() if self.finished_at else None

    @property
    def cache_percent(self) -> int | None:
        """The share of settled people who cost no call, or None before the first."""
        return 100 * self.cache_hits // self.done if self.done else None


def get_progress(viewer: Viewer, run_id: str) -> Progress:
    """Return the progress of one run; raises NotFound, also for what the viewer may not see."""
    row = db.session.execute(_visible(viewer).where(Run.id == run_id)).first()
    if row is None:
        raise NotFound("job")
    return _progress(row)


def get_current_progress(viewer: Viewer, run_id: str) -> Progress:
    """Return the progress of a run as it is now, whatever this session saw of it before; raises NotFound."""
    db.session.rollback()
    return get_progress(viewer, run_id)


def active_runs(viewer: Viewer, account_id: int | None = None) -> list[Progress]:
    """Return the runs that are not over, those at work first, of one account or of all that the viewer may see."""
    found = _visible(viewer).where(Run.state.in_(ACTIVE)).order_by(Run.created_at)
    if account_id is not None:
        found = found.where(Run.account_id == account_id)
    progresses = [_progress(row) for row in db.session.execute(found)]
    queued = [progress for progress in progresses if progress.state == RunState.QUEUED]
    at_work = [progress for progress in progresses if progress.state != RunState.QUEUED]
    return at_work + [replace(progress, place=place) for place, progress in enumerate(queued, start=1)]


def latest_reported(viewer: Viewer) -> Progress | None:
    """Return the job at work once a lookup of it failed, else the job that ended last in seven days, None without."""
    failing = [run for run in active_runs(viewer) if run.place is None and run.failed]
    return next(iter(failing or history(viewer, limit=1)), None)


def just_ended(viewer: Viewer) -> Progress | None:
    """Return the run that ended last, if that was within a quarter of an hour."""
    last = next(iter(history(viewer, limit=1)), None)
    ended_at = last.finished_at if last else None
    return last if ended_at and ended_at > clock.now() - JUST_NOW else None


def history(viewer: Viewer, *, account_id: int | None = None, limit: int = 20) -> list[Progress]:
    """Return the runs of the last seven days that are over, newest first."""
    since = clock.now() - HISTORY
    found = _visible(viewer).where(Run.state.not_in(ACTIVE), Run.created_at >= since)
    if account_id is not None:
        found = found.where(Run.account_id == account_id)
    return [_progress(row) for row in db.session.execute(found.order_by(Run.created_at.desc()).limit(limit))]


def ended(viewer: Viewer) -> str:
    """Return a word that changes whenever `history` does: a job ended, or left it."""
    since = clock.now() - HISTORY
    found = select(func.count(), func.max(Run.finished_at)).where(Run.state.not_in(ACTIVE), Run.created_at >= since)
    found = viewer.visible(found, Run.account_id)
    number, last = db.session.execute(found).one()
    return f"ended-{number}-{last:%Y%m%d%H%M%S%f}" if last else "ended"


def publish(run_id: str, *, final: bool = False) -> None:
    """Write a run's progress into the meta of its RQ jobs, at most twice a second."""
    queue.report(run_id, lambda: _told(run_id), final=final)


def as_dict(progress: Progress) -> dict[str, int | str | None]:
    """Return what programs see of a progress; times as `clock.rfc3339` writes them."""
    return {
        "id": progress.run_id,
        "kind": progress.kind.value,
        "accountId": progress.ig_account_id,
        "state": progress.state,
        "reason": progress.reason,
        "startedBy": progress.started_by,
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
    }


def _visible(viewer: Viewer) -> Select[Run, str | None, str, AccountState]:
    return viewer.visible(_RUNS, Run.account_id)


def _told(run_id: str) -> dict[str, int | str | None]:
    row = db.session.execute(_RUNS.where(Run.id == run_id)).first()
    return as_dict(_progress(row)) if row is not None else {}


def _progress(row: Row[Run, str | None, str, AccountState]) -> Progress:
    run = row.Run
    settled = run.resolved + run.fresh + run.failed + run.skipped
    speed = (settled - run.skipped) / run.worked_seconds if run.worked_seconds and settled > run.skipped else None
    at_work = run.state in ACTIVE
    reconnect = run.state is RunState.WAITING and row.state is AccountState.RECONNECT
    reads_pages = run.state is RunState.RUNNING and run.swept_pages < run.sweep_pages
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
        resume_at=run.resume_at,
        total=run.total,
        resolved=run.resolved,
        fresh=run.fresh,
        failed=run.failed,
        skipped=run.skipped,
        calls=run.calls,
        cache_hits=run.cache_hits,
        worked_seconds=run.worked_seconds,
        now=_now(run.id) if run.state is RunState.RUNNING and not reads_pages else None,
        per_second=speed,
        seconds_left=estimate.seconds_left(run) if at_work and not reconnect else None,
        days=run.days,
        reconnect=reconnect,
        page=run.swept_pages + 1 if reads_pages else 0,
        pages=run.sweep_pages if reads_pages else 0,
    )


def _state(run: Run) -> str:
    if run.state is RunState.DONE and run.failed:
        return SOME_FAILED
    untaken = run.state is RunState.QUEUED and run.lease_until is None
    due_since = max(run.created_at, run.resume_at or run.created_at)  # a retry is due since it was asked for
    if untaken and due_since < clock.now() - PATIENCE:
        return WORKER_MISSING
    return run.state.value


def _now(run_id: str) -> str | None:
    """The person being looked up: the first open item of the plan."""
    first = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.TODO)
    return db.session.execute(first.order_by(RunItem.position).limit(1)).scalar()
