"""Start, cancel and retry runs: who is in one, in which order, and that there is only one at a time."""

import secrets
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import AlreadyRunning, Conflict, Invalid, NotFound
from app.identities import sighting
from app.identities.verdict import STOP_AFTER
from app.instagram.errors import Reason
from app.models.identity import Identity
from app.models.inbox import Account, Conversation
from app.models.run import ACTIVE, ItemState, Kind, Run, RunItem, RunState
from app.viewer import Role, Viewer

BATCH_SIZE = 10
BATCH_SIZES = range(1, 101)
_ACTIVE_RUN = select(Run.id).where(
    Run.account_id == bindparam("account"), Run.kind == bindparam("run_kind"), Run.state.in_(ACTIVE)
)
TASK = {Kind.BACKFILL: queue.BACKFILL_SLICE, Kind.REFRESH: queue.REFRESH_SLICE}


def start(viewer: Viewer, account_id: int, *, kind: Kind, batch_size: int = BATCH_SIZE) -> str:
    """Plan a run of this account and hand it to the workers; returns its id.

    Backfill takes everyone without a name, refresh everyone, the newest conversation first. Raises AlreadyRunning with
    the active run's id, Invalid for a batch size outside 1-100, NotFound for an account the viewer may not see.
    """
    viewer.require(Role.OPS)
    if batch_size not in BATCH_SIZES:
        raise Invalid({"batchSize": "The batch size should be a whole number from 1 to 100."})
    _require_account(viewer, account_id)
    run_id = secrets.token_hex(6)
    try:
        with transaction.write() as tx:
            _refuse_second(tx, account_id, kind)
            total = _plan_items(tx, run_id, account_id, kind, viewer, batch_size)
            tx.touch(account_id)
    except IntegrityError:
        raise AlreadyRunning(_active(account_id, kind) or "") from None  # another process won the same moment
    if total:
        hint(run_id, kind, job_id=run_id)
    return run_id


def hint(run_id: str, kind: Kind, *, job_id: str | None = None) -> bool:
    """Tell the workers that a run has work; returns False when Redis is away (the ticker finds the run again)."""
    return queue.enqueue(TASK[kind], run_id, job_id=job_id, description=f"{kind} run {run_id}")


def cancel(viewer: Viewer, run_id: str) -> None:
    """Let a run end after its present item; raises NotFound, and Conflict when it has ended already."""
    viewer.require(Role.OPS)
    run = require(viewer, run_id)
    now = clock.now()
    with transaction.write() as tx:
        at_work = (Run.lease_until.is_not(None)) & (Run.lease_until > now)
        ended = tx.execute(
            update(Run)
            .where(Run.id == run_id, Run.state.in_(ACTIVE), ~at_work)
            .values(state=RunState.CANCELED, finished_at=now, lease_until=None, lease_by=None, fence=Run.fence + 1)
        )
        asked = tx.execute(
            update(Run).where(Run.id == run_id, Run.state.in_(ACTIVE), at_work).values(state=RunState.CANCELING)
        )
        if not ended.rowcount and not asked.rowcount:
            raise Conflict("This job has already ended.")
        tx.touch(run.account_id)


def retry(viewer: Viewer, run_id: str) -> int:
    """Put a finished run's failed items back to work; returns how many. Raises NotFound, Conflict, AlreadyRunning."""
    viewer.require(Role.OPS)
    run = require(viewer, run_id)
    if run.state in ACTIVE:
        raise AlreadyRunning(run_id)
    failed = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED)
    try:
        with transaction.write() as tx:
            _refuse_second(tx, run.account_id, run.kind)
            people = list(tx.execute(failed).scalars())
            if not people:
                raise Conflict("Nothing in this job failed.")
            _reopen(tx, run_id, people)
            sighting.retry(tx, run.account_id, people)
            tx.touch(run.account_id)
    except IntegrityError:
        raise AlreadyRunning(_active(run.account_id, run.kind) or "") from None
    hint(run_id, run.kind)
    return len(people)


def require(viewer: Viewer, run_id: str) -> Run:
    """Return a run the viewer may see, or raise NotFound."""
    run = db.session.get(Run, run_id)
    if run is None or (viewer.account_ids is not None and run.account_id not in viewer.account_ids):
        raise NotFound("job")
    return run


def _require_account(viewer: Viewer, account_id: int) -> None:
    allowed = viewer.account_ids is None or account_id in viewer.account_ids
    if not allowed or db.session.get(Account, account_id) is None:
        raise NotFound("account")


def _refuse_second(tx: Tx, account_id: int, kind: Kind) -> None:
    running = tx.execute(_ACTIVE_RUN, {"account": account_id, "run_kind": kind}).scalar()
    if running is not None:
        raise AlreadyRunning(str(running))


def _active(account_id: int, kind: Kind) -> str | None:
    return db.session.execute(_ACTIVE_RUN, {"account": account_id, "run_kind": kind}).scalar()


def _plan_items(tx: Tx, run_id: str, account_id: int, kind: Kind, viewer: Viewer, batch_size: int) -> int:
    now = clock.now()
    run = Run(
        id=run_id,
        account_id=account_id,
        kind=kind,
        state=RunState.QUEUED,
        batch_size=batch_size,
        started_by=viewer.name,
        created_at=now,
        total=0,
    )
    tx.session.add(run)
    tx.session.flush()
    planned = insert(RunItem).from_select(["run_id", "ig_participant_id", "position", "state", "reason"], _people(run))
    tx.execute(planned)
    is_skipped = case((RunItem.state == ItemState.SKIPPED, 1))
    counted = select(func.count().label("total"), func.count(is_skipped).label("skipped"))
    counts = tx.execute(counted.where(RunItem.run_id == run_id)).one()
    run.total, run.skipped = counts.total, counts.skipped
    if run.skipped == run.total:
        run.state, run.started_at, run.finished_at = RunState.DONE, now, now
    return run.total - run.skipped


def _people(run: Run) -> Select[Any]:
    hopeless = and_(
        Identity.next_try_at.is_(None),
        or_(Identity.failure_count >= STOP_AFTER, Identity.last_error == Reason.CONSENT),
    )
    position = func.row_number().over(order_by=(Conversation.last_message_at.desc(), Conversation.id.desc()))
    whose = and_(
        Identity.account_id == Conversation.account_id, Identity.ig_participant_id == Conversation.ig_participant_id
    )
    return (
        select(
            literal(run.id),
            Conversation.ig_participant_id,
            position,
            case((hopeless, ItemState.SKIPPED.value), else_=ItemState.TODO.value),
            case((hopeless, Identity.last_error), else_=null()),
        )
        .outerjoin(Identity, whose)
        .where(Conversation.account_id == run.account_id, _belongs(run.kind), ~_is_placeholder())
    )


def _belongs(kind: Kind) -> ColumnElement[bool]:
    return Conversation.known.is_(False) if kind is Kind.BACKFILL else true()


def _is_placeholder() -> ColumnElement[bool]:
    # Older systems wrote UNKNOWN_… where Meta's id was missing; nobody can be asked about such a person.
    return Conversation.ig_participant_id.startswith("UNKNOWN_", autoescape=True)


def _reopen(tx: Tx, run_id: str, people: list[str]) -> None:
    items = update(RunItem).where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED)
    tx.execute(items.values(state=ItemState.TODO, tries=0, next_try_at=None, settled_at=None))
    run = update(Run).where(Run.id == run_id)
    tx.execute(
        run.values(
            state=RunState.QUEUED,
            failed=Run.failed - len(people),
            finished_at=None,
            resume_at=clock.now(),
            reason=None,
            fence=Run.fence + 1,
        )
    )
