"""The contacts that a job could not resolve: why, also by later lookups, and whether a retry can help."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from app.db.engine import db
from app.identities import display, listing
from app.identities.display import Avatar, DisplayName
from app.identities.failure_policy import NOT_RETRYABLE, STOP_AFTER
from app.identities.reasons import DELETED, WORKER_DIED, describe
from app.instagram.errors import Reason
from app.models.identity import Identity
from app.models.run import DELETED_CONTACT, ItemState, RunItem, RunScope, RunState
from app.runs import lifecycle, progress
from app.runs.progress import Progress
from app.viewer import Viewer

LEAST_FAILED = 20  # fewer contacts may all have good reasons, such as no profile consent
NEWEST_JOBS = 100
RESOLVED_SINCE = "Resolved since"
REASONS: tuple[str, ...] = (*Reason, WORKER_DIED, DELETED)  # of a contact that a job could not resolve


@dataclass(frozen=True, slots=True)
class FailedContact:
    """One contact that a job could not resolve; `code` is Meta's or a word of Nametag.

    `tries` of `most_tries` lookups failed before automatic retries stop. `what_happened` includes lookups after the
    job; `in_progress` says that one runs now.
    """

    ig_participant_id: str
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
class FailureGroup:
    """Contacts of a job with the same reason and code, in the order of its items."""

    what_happened: str
    code: str
    code_words: str
    contacts: tuple[FailedContact, ...]


def by_reason(contacts: Sequence[FailedContact]) -> list[FailureGroup]:
    """Return the contacts that a job could not resolve in groups, the largest first."""
    found: dict[tuple[str, str], list[FailedContact]] = {}
    for each in contacts:
        found.setdefault((each.what_happened, each.code), []).append(each)
    groups = [FailureGroup(what, code, each[0].code_words, tuple(each)) for (what, code), each in found.items()]
    return sorted(groups, key=lambda group: -len(group.contacts))


def failed_jobs(viewer: Viewer) -> list[Progress]:
    """Return the job of each account and kind that ended last, if it failed: it resolved none of its contacts."""
    newest: dict[object, Progress] = {}
    for run in progress.history(viewer, limit=NEWEST_JOBS):
        if run.scope is not RunScope.EXPIRING:
            newest.setdefault((run.account_id, run.kind), run)
    return [run for run in newest.values() if _failed(run)]


def _failed(run: Progress) -> bool:
    none_resolved = run.failed >= LEAST_FAILED and run.failed == run.planned
    return run.state == RunState.FAILED or none_resolved


def failed_contacts(viewer: Viewer, run_id: str, *, limit: int = 500) -> list[FailedContact]:
    """Return the contacts that a job could not resolve, in the order of its items; raises NotFound."""
    run = lifecycle.require_run(viewer, run_id)
    of_item = Identity.is_contact(run.account_id, RunItem.ig_participant_id)
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
            Identity.id.label("identity_id"),
        )
        .outerjoin(Identity, of_item)
        .where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED)
        .where(~RunItem.ig_participant_id.startswith(DELETED_CONTACT, autoescape=True))
        .order_by(RunItem.position)
        .limit(limit)
    )
    return [_failed_contact(row) for row in db.session.execute(found)]


def _failed_contact(row: Row[*tuple[Any, ...]]) -> FailedContact:
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
    reason, code = _newest(row)
    due_since = row.next_try_at is None or row.settled_at is None or row.next_try_at >= row.settled_at
    in_progress = due_since and listing.in_progress(row)
    return FailedContact(
        ig_participant_id=row.ig_participant_id,
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
