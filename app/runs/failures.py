"""The contacts that a job could not resolve: why, and whether a retry can help."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from app.db.engine import db
from app.errors import Conflict
from app.identities import display, listing, manual_refresh
from app.identities.display import Avatar, DisplayName
from app.identities.failure_policy import NOT_RETRYABLE, STOP_AFTER
from app.identities.reasons import WORKER_DIED, describe
from app.instagram.errors import Reason
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import ACTIVE, ItemState, Run, RunItem
from app.runs import lifecycle
from app.viewer import Role, Viewer

RESOLVED_SINCE = "Resolved since"
REASONS: tuple[str, ...] = (*Reason, WORKER_DIED)  # of a contact that a job could not resolve


@dataclass(frozen=True, slots=True)
class FailedContact:
    """One contact that a job could not resolve; `code` is Meta's or a word of Nametag.

    `tries` of `most_tries` lookups failed before automatic retries stop. `what_happened` includes lookups after the
    job; `in_progress` says that one runs now.
    """

    ig_participant_id: str
    conversation_id: int | None
    identity_id: int | None
    display: DisplayName
    avatar: Avatar
    what_happened: str
    code: str
    tries: int
    most_tries: int
    can_recover: bool
    in_progress: bool

    @property
    def code_words(self) -> str:
        """The code as users read it: Meta's codes are numbers, Nametag's are words."""
        return f"Meta error {self.code}" if self.code[:1].isdigit() else self.code.capitalize()


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What a retry does: `contacts` it looks up again, and those it left out, by reason.

    `waiting` is how many contacts a canceled job had not looked up yet; the retry includes them.
    """

    contacts: int
    left_out: Mapping[Reason, int]
    waiting: int = 0

    @property
    def text(self) -> str:
        """The result in sentences, for users."""
        finishing = f" and finishing {self.waiting} waiting" if self.waiting else ""
        return " ".join((f"Retrying {_contacts(self.contacts)}{finishing}.", *_left_out(self.left_out)))


def failed_contacts(viewer: Viewer, run_id: str, *, limit: int = 500) -> list[FailedContact]:
    """Return the contacts that a job could not resolve, in the order of its items; raises NotFound."""
    run = lifecycle.require_run(viewer, run_id)
    found = (
        select(
            RunItem.ig_participant_id,
            RunItem.reason,
            RunItem.code,
            RunItem.settled_at,
            Identity.last_success_at,
            Identity.last_failure_at,
            Identity.last_error,
            Identity.last_error_code,
            Identity.next_try_at,
            Identity.claimed_until,
            Identity.username,
            Identity.name,
            Identity.confusable_digits,
            Identity.failure_count,
            Conversation.id.label("conversation_id"),
            Identity.id.label("identity_id"),
        )
        .outerjoin(Identity, _same_contact(Identity, run))
        .outerjoin(Conversation, _same_contact(Conversation, run))
        .where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED)
        .order_by(RunItem.position)
        .limit(limit)
    )
    return [_failed_contact(row) for row in db.session.execute(found)]


def retry_failed(viewer: Viewer, run_id: str) -> RetryResult:
    """Retry the failed contacts of a job, except those that a retry cannot help; for ops.

    A finished job is reopened; those of an active job are refreshed one by one. Raises NotFound,
    AlreadyRunning, and Conflict when there is no contact to retry.
    """
    viewer.require(Role.OPS)
    run = lifecycle.require_run(viewer, run_id)
    counted = select(RunItem.reason, func.count().label("contacts")).group_by(RunItem.reason)
    failed = db.session.execute(counted.where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED))
    numbers = {row.reason: row.contacts for row in failed}
    left_out = {reason: numbers.pop(reason) for reason in Reason if reason in NOT_RETRYABLE & set(numbers)}
    if not numbers:
        raise Conflict(" ".join(("No contact in this job can be retried.", *_left_out(left_out))))
    if run.state not in ACTIVE:
        pending = (RunItem.run_id == run_id, RunItem.state == ItemState.PENDING)
        waiting = db.session.execute(select(func.count()).select_from(RunItem).where(*pending)).scalar_one()
        return RetryResult(lifecycle.retry(viewer, run_id), left_out, waiting)
    found = [each.identity_id for each in failed_contacts(viewer, run_id) if each.can_recover and each.identity_id]
    return RetryResult(manual_refresh.refresh_all(viewer, found), left_out)


def _failed_contact(row: Row[*tuple[Any, ...]]) -> FailedContact:
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
    reason, code = _newest(row)
    due_since = row.next_try_at is None or row.settled_at is None or row.next_try_at >= row.settled_at
    in_progress = due_since and listing.in_progress(row)
    return FailedContact(
        ig_participant_id=row.ig_participant_id,
        conversation_id=row.conversation_id,
        identity_id=row.identity_id,
        display=shown,
        avatar=display.avatar(row.ig_participant_id, shown),
        what_happened="Looking up now" if in_progress else describe(reason) if reason else RESOLVED_SINCE,
        code=code or "",
        tries=min(row.failure_count or 0, STOP_AFTER),
        most_tries=STOP_AFTER,
        can_recover=reason is not None and reason not in NOT_RETRYABLE and not in_progress,
        in_progress=in_progress,
    )


def _newest(row: Row[*tuple[Any, ...]]) -> tuple[str | None, str | None]:
    """Return reason and code of the newest lookup, without a reason if it resolved the contact after the job."""
    if row.settled_at is not None and row.last_success_at is not None and row.last_success_at > row.settled_at:
        return None, None
    if row.settled_at is not None and row.last_failure_at is not None and row.last_failure_at > row.settled_at:
        return row.last_error or row.reason, row.last_error_code or row.code
    return row.reason, row.code


def _same_contact(table: type[Identity] | type[Conversation], run: Run) -> ColumnElement[bool]:
    return and_(table.account_id == run.account_id, table.ig_participant_id == RunItem.ig_participant_id)


def _left_out(reasons: Mapping[Reason, int]) -> Iterator[str]:
    return (f"Left out {_contacts(number)}: {describe(reason)}." for reason, number in reasons.items())


def _contacts(number: int) -> str:
    return f"{number} {'contact' if number == 1 else 'contacts'}"
