"""Retry the contacts that a job could not resolve, except those that a retry cannot help: the one rule for that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, select, update
from sqlalchemy.exc import IntegrityError

from app import audit, clock
from app.db import transaction
from app.db.transaction import Tx
from app.errors import Conflict, Invalid
from app.identities import observations
from app.identities.failure_policy import NOT_RETRYABLE
from app.identities.reasons import DELETED, describe
from app.models.account import Account, AccountState
from app.models.audit import Action
from app.models.identity import Identity
from app.models.run import ACTIVE, DELETED_CONTACT, ItemState, Run, RunItem, RunState
from app.runs import kinds, lifecycle
from app.runs.failures import REASONS
from app.text import plural
from app.viewer import Role, Viewer


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What a retry does: `contacts` it looks up again, and those it left out, by reason.

    `waiting` is how many contacts a canceled job had not looked up yet; the retry includes them. A `paused` job begins
    once it is resumed.
    """

    contacts: int
    left_out: Mapping[str, int]
    waiting: int = 0
    paused: bool = False

    @property
    def text(self) -> str:
        """The result in sentences, for users."""
        finishing = f" and finishing {self.waiting} waiting" if self.waiting else ""
        once = " once the job is resumed" if self.paused else ""
        return " ".join((f"Retrying {plural(self.contacts, 'contact')}{finishing}{once}.", *_left_out(self.left_out)))


def can_retry(reason: str | None) -> bool:
    """Return whether a retry can help a contact whose lookup failed for this reason."""
    return reason not in NOT_RETRYABLE


def retry(viewer: Viewer, run_id: str, reasons: Sequence[str] | None = None) -> RetryResult:
    """Retry the failed contacts of a job, or those that failed for these `reasons`; for ops.

    Left out are contacts that a retry cannot help, by the reason in the job or that of a later lookup, and deleted
    contacts. A finished job is reopened; an active one looks them up again before it ends. Raises NotFound, Invalid
    for an unknown reason, AlreadyRunning, and Conflict when there is no contact to retry.
    """
    viewer.require(Role.OPS)
    if reasons is not None and not set(reasons) <= set(REASONS):
        raise Invalid({"reasons": f"Each reason must be one of {', '.join(REASONS)}."})
    run = lifecycle.require_run(viewer, run_id)
    if run.kind not in kinds.RULES:
        raise Conflict("A newer version of Nametag started this job. Update Nametag to retry it.")
    if kinds.syncs(run.kind):
        raise Conflict("A conversation sync has no contacts to retry. Start a new one.")
    try:
        with transaction.write() as tx:
            result = _retry(tx, run_id, reasons)
            audit.note(tx, viewer, Action.JOB_RETRIED, f"job {run_id}", account_id=run.account_id)
            tx.mark_changed(run.account_id)
    except IntegrityError:
        raise lifecycle.lost_race(run.account_id, run.kind) from None
    if not result.paused:
        lifecycle.enqueue(run_id, run.kind)
    return result


def _retry(tx: Tx, run_id: str, reasons: Sequence[str] | None) -> RetryResult:
    # Locks the row, so that the job cannot end while its items are reopened.
    run = tx.execute(select(Run).where(Run.id == run_id).with_for_update()).one()
    if tx.execute(select(Account.state).where(Account.id == run.account_id)).scalar() is AccountState.DELETING:
        raise Conflict("This account is being removed. Nothing was retried.")
    if run.state is RunState.CANCELING:
        raise Conflict("This job is being canceled. Nothing was retried. Try again once it has ended.")
    if run.kept_counts is not None:
        raise Conflict("The contacts of this job were deleted after 90 days. Start a new job.")
    if run.state not in ACTIVE:
        lifecycle.refuse_second(tx, run.account_id, run.kind)
    left_out = _count_left_out(tx, run.account_id, run_id, reasons)
    chosen = (*_failed(run_id, reasons), _reason_now(run.account_id).not_in((*NOT_RETRYABLE, DELETED)))
    again = select(RunItem.ig_participant_id).where(*chosen)
    observations.retry(tx, run.account_id, again)
    reopened = {"state": ItemState.PENDING, "tries": 0, "next_try_at": None, "settled_at": None}
    contacts = tx.execute(update(RunItem).where(*chosen).values(**reopened)).rowcount
    if not contacts:
        raise Conflict(" ".join(("No contact in this job can be retried.", *_left_out(left_out))))
    _reopen(tx, run, contacts)
    ended = run.state not in ACTIVE
    waiting = run.total - run.resolved - run.fresh - run.failed - run.skipped if ended else 0
    return RetryResult(contacts, left_out, waiting, paused=run.state is RunState.PAUSED)


def _reopen(tx: Tx, run: Row[Any], contacts: int) -> None:
    values: dict[str, Any] = {"failed": Run.failed - contacts}
    if run.state not in ACTIVE:
        now = clock.now()
        values |= {"state": RunState.QUEUED, "resume_at": now, "reason": None, "fence": Run.fence + 1}
    elif run.state in (RunState.QUEUED, RunState.RUNNING):
        values |= {"resume_at": None}  # it waits for no other item now
    tx.execute(update(Run).where(Run.id == run.id).values(**values))


def _count_left_out(tx: Tx, account_id: int, run_id: str, reasons: Sequence[str] | None) -> dict[str, int]:
    items = select(_reason_now(account_id).label("reason")).where(*_failed(run_id, reasons)).subquery()
    counted = select(items.c.reason, func.count().label("contacts")).group_by(items.c.reason)
    found = tx.execute(counted.where(items.c.reason.in_((*NOT_RETRYABLE, DELETED))))
    numbers = {row.reason: row.contacts for row in found}
    return {reason: numbers[reason] for reason in REASONS if reason in numbers}


def _failed(run_id: str, reasons: Sequence[str] | None) -> list[ColumnElement[bool]]:
    failed = [RunItem.run_id == run_id, RunItem.state == ItemState.FAILED]
    return failed if reasons is None else [*failed, RunItem.reason.in_(reasons)]


def _reason_now(account_id: int) -> ColumnElement[str]:
    """Return the reason of an item, unless a lookup after the job shows that a retry cannot help any more."""
    later = (
        select(Identity.last_error)
        .where(Identity.is_contact(account_id, RunItem.ig_participant_id), Identity.last_error.in_(NOT_RETRYABLE))
        .correlate(RunItem)
        .scalar_subquery()
    )
    deleted = RunItem.ig_participant_id.startswith(DELETED_CONTACT, autoescape=True)
    return case((deleted, DELETED), else_=func.coalesce(later, RunItem.reason, ""))


def _left_out(reasons: Mapping[str, int]) -> Iterator[str]:
    return (f"Left out {plural(number, 'contact')}: {describe(reason)}." for reason, number in reasons.items())
