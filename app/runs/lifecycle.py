"""Start, pause, resume and cancel jobs. An account has at most one active job of each kind, also while it is paused."""

import logging
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from app import audit, change_tokens, clock, queue, settings
from app.db import transaction
from app.db.engine import db
from app.db.planning import planned_for_values
from app.db.transaction import Tx
from app.errors import AlreadyRunning, Conflict, Invalid, NotFound
from app.labels import label
from app.models.account import Account, AccountState
from app.models.audit import Action
from app.models.run import ACTIVE, IS_ACTIVE, ItemState, Run, RunItem, RunKind, RunState
from app.runs import kinds, selection
from app.runs.duties import DutyOutcome
from app.runs.selection import PageScan, Selection
from app.viewer import SCHEDULE, Role, Viewer

logger = logging.getLogger(__name__)

BATCH_SIZE = 10
BATCH_SIZES = range(1, 101)
_ACTIVE_RUN = select(Run.id, Run.kind, Run.created_at, Run.state).where(
    Run.account_id == bindparam("account"), Run.kind == bindparam("run_kind"), IS_ACTIVE
)


def start(
    viewer: Viewer, account_id: int, *, kind: RunKind, batch_size: int = BATCH_SIZE, days: int | None = None
) -> str:
    """Start a job of this account and return its ID.

    A backfill looks up all unknown contacts, with `days` at most 50 whose conversation had a message since; a refresh
    all contacts. Newest conversations come first. Raises AlreadyRunning with the active job's ID, Invalid for a batch
    size outside 1-100 or days outside 1-90, NotFound for an account the viewer may not see.
    """
    return start_selection(viewer, Selection(account_id, kind, days), batch_size=batch_size)


def start_selection(viewer: Viewer, selected: Selection, *, batch_size: int = BATCH_SIZE) -> str:
    """Start a job of these contacts and return its ID; raises as `start` does, and Invalid without a contact."""
    viewer.require(Role.OPS)
    require_batch_size(batch_size)
    selection.require_valid(viewer, selected)
    return _start(viewer, selected, batch_size=batch_size)


def refresh_expiring(off: Collection[int] = ()) -> DutyOutcome:
    """Start a refresh of contacts whose name expires within a day or whose picture URL has expired, per account.

    Each job uses at most half of an hour's calls. Leaves out the accounts `off`. Return the jobs.
    """
    jobs, active = list[str](), 0
    most = settings.current().graph_calls_per_hour // 2
    accounts = select(Account.id).where(Account.state == AccountState.CONNECTED, Account.id.not_in(off))
    for account_id in list(db.session.scalars(accounts)):
        selected = Selection(account_id, RunKind.REFRESH, expiring=True, most=most)
        if db.session.execute(selection.select_items(selected).limit(1)).first() is None:
            continue
        try:
            jobs.append(_start(SCHEDULE, selected, batch_size=BATCH_SIZE))
        except AlreadyRunning:
            active += 1
            logger.info("scheduled refresh not started: a refresh is active", extra={"account": account_id})
    if not active:
        return DutyOutcome({"jobs": jobs})
    return DutyOutcome(
        {"jobs": jobs} if jobs else None, "A refresh was active" if active == 1 else "Refreshes were active"
    )


def enqueue(run_id: str, kind: RunKind, *, job_id: str | None = None) -> bool:
    """Enqueue a task for a job. Return False without Redis; then the scheduler enqueues it later."""
    return queue.enqueue(kinds.RULES[kind].task, run_id, job_id=job_id, description=f"{kind} job {run_id}")


def cancel(viewer: Viewer, run_id: str) -> None:
    """Cancel a job: it ends after the present item. Raises NotFound, and Conflict when it has ended already."""
    viewer.require(Role.OPS)
    run = require_run(viewer, run_id)
    now = clock.now()
    with transaction.write() as tx:
        at_work = _at_work(now)
        ended = tx.execute(
            update(Run)
            .where(Run.id == run_id, Run.state.in_(ACTIVE), ~at_work)
            .values(state=RunState.CANCELED, finished_at=now, lease_until=None, lease_by=None, fence=Run.fence + 1)
        )
        ending = tx.execute(
            update(Run).where(Run.id == run_id, Run.state.in_(ACTIVE), at_work).values(state=RunState.CANCELING)
        )
        if not ended.rowcount and not ending.rowcount:
            raise Conflict("This job has already ended. Nothing was changed.")
        audit.note(tx, viewer, Action.JOB_CANCELED, f"job {run_id}", account_id=run.account_id)
        tx.mark_changed(run.account_id, change_tokens.NO_CONTACT)


def pause(viewer: Viewer, run_id: str) -> None:
    """Pause a job after the present item, until a user resumes it; for ops.

    It stays the account's active job of its kind. Raises NotFound, and Conflict when it has ended, is being canceled
    or is paused already.
    """
    viewer.require(Role.OPS)
    run = require_run(viewer, run_id)
    if run.state is RunState.PAUSED:
        raise Conflict(f"{run.paused_by} has paused this job already. Nothing was changed.")
    paused = {"state": RunState.PAUSED, "paused_at": clock.now(), "paused_by": viewer.name, "reason": None}
    with transaction.write() as tx:
        pausable = Run.state.in_((RunState.QUEUED, RunState.RUNNING, RunState.WAITING))
        if not tx.execute(update(Run).where(Run.id == run_id, pausable).values(**paused)).rowcount:
            raise _ended(tx, run_id)
        audit.note(tx, viewer, Action.JOB_PAUSED, f"job {run_id}", account_id=run.account_id)
        tx.mark_changed(run.account_id, change_tokens.NO_CONTACT)


def resume(viewer: Viewer, run_id: str) -> None:
    """Resume a paused job; for ops. Raises NotFound, and Conflict when it is not paused."""
    viewer.require(Role.OPS)
    run = require_run(viewer, run_id)
    now = clock.now()
    resumed = {"paused_at": None, "paused_by": None, "resume_at": now, "waiting_since": None}
    # A worker that has not noticed the pause yet keeps its lease and continues.
    state = case((_at_work(now), RunState.RUNNING.value), else_=RunState.QUEUED.value)
    with transaction.write() as tx:
        paused = update(Run).where(Run.id == run_id, Run.state == RunState.PAUSED)
        if not tx.execute(paused.values(state=state, **resumed)).rowcount:
            raise _ended(tx, run_id, otherwise="This job is not paused. Nothing was changed.")
        audit.note(tx, viewer, Action.JOB_RESUMED, f"job {run_id}", account_id=run.account_id)
        tx.mark_changed(run.account_id, change_tokens.NO_CONTACT)
    enqueue(run_id, run.kind)


def _ended(tx: Tx, run_id: str, otherwise: str = "") -> Conflict:
    state = tx.execute(select(Run.state).where(Run.id == run_id)).scalar()
    if state is RunState.CANCELING:
        return Conflict("This job is being canceled. Nothing was changed.")
    if otherwise and state in ACTIVE:
        return Conflict(otherwise)
    return Conflict("This job has already ended. Nothing was changed.")


def require_batch_size(batch_size: int) -> None:
    """Raise Invalid for a batch size outside 1-100."""
    if batch_size not in BATCH_SIZES:
        raise Invalid({"batchSize": "The batch size must be a whole number from 1 to 100."})


def require_run(viewer: Viewer, run_id: str) -> Run:
    """Return the row of a job; raises NotFound, also for one the viewer may not see."""
    run = db.session.get(Run, run_id)
    if run is None or not viewer.sees(run.account_id):
        raise NotFound("job")
    return run


def _start(viewer: Viewer, selected: Selection, *, batch_size: int) -> str:
    with planned_for_values():
        scan = selection.plan_page_scan(selected)
    with starting(viewer, selected.account_id, selected.kind) as (tx, run_id):
        total = _plan_items(tx, run_id, selected, scan, batch_size=batch_size, started_by=viewer.name)
    if total:
        enqueue(run_id, selected.kind, job_id=run_id)
    return run_id


@contextmanager
def starting(viewer: Viewer, account_id: int, kind: RunKind) -> Iterator[tuple[Tx, str]]:
    """Open the transaction that stores a job, and yield it with the job's ID. Raises AlreadyRunning."""
    run_id = secrets.token_hex(6)
    try:
        with transaction.write() as tx:
            refuse_second(tx, account_id, kind)
            yield tx, run_id
            audit.note(tx, viewer, Action.JOB_STARTED, f"job {run_id}", account_id=account_id)
            tx.mark_changed(account_id, change_tokens.NO_CONTACT)
    except IntegrityError:
        raise lost_race(account_id, kind) from None


def active_run(account_id: int, kind: RunKind) -> str | None:
    """Return the ID of the account's active job of this kind, or None."""
    found = db.session.execute(_ACTIVE_RUN, {"account": account_id, "run_kind": kind}).first()
    return found.id if found else None


def refuse_second(tx: Tx, account_id: int, kind: RunKind) -> None:
    """Raise AlreadyRunning if the account has an active job of this kind."""
    running = tx.execute(_ACTIVE_RUN, {"account": account_id, "run_kind": kind}).first()
    if running is not None:
        raise already_running(running)


def lost_race(account_id: int, kind: RunKind) -> AlreadyRunning:
    """Return the error of a start that another process preceded; its job may have ended since."""
    running = db.session.execute(_ACTIVE_RUN, {"account": account_id, "run_kind": kind}).first()
    return already_running(running) if running else AlreadyRunning("", label(kind))


def already_running(run: Any) -> AlreadyRunning:
    """Return the error that names an active job."""
    described = f"{label(run.kind)}, started at {run.created_at:%Y-%m-%d %H:%M} UTC"
    return AlreadyRunning(run.id, described, paused=run.state is RunState.PAUSED)


def _at_work(now: datetime) -> ColumnElement[bool]:
    return and_(Run.lease_until.is_not(None), Run.lease_until > now)


@planned_for_values()
def _plan_items(tx: Tx, run_id: str, selected: Selection, scan: PageScan, *, batch_size: int, started_by: str) -> int:
    now = clock.now()
    run = Run(
        id=run_id,
        account_id=selected.account_id,
        kind=selected.kind,
        days=selected.days,
        scope=selected.scope,
        state=RunState.QUEUED,
        batch_size=batch_size,
        started_by=started_by,
        created_at=now,
        total=0,
        scan_pages=scan.pages,
        scan_contacts=scan.people,
    )
    tx.session.add(run)
    tx.session.flush()
    chosen = selection.select_items(selected).add_columns(literal(run_id))
    columns = ["ig_participant_id", "position", "state", "reason", "run_id"]
    tx.execute(insert(RunItem).from_select(columns, chosen))
    is_skipped = case((RunItem.state == ItemState.SKIPPED, 1))
    counted = select(func.count().label("total"), func.count(is_skipped).label("skipped"))
    counts = tx.execute(counted.where(RunItem.run_id == run_id)).one()
    run.total, run.skipped = counts.total, counts.skipped
    if run.skipped == run.total:
        run.state, run.started_at, run.finished_at = RunState.DONE, now, now
    return run.total - run.skipped
