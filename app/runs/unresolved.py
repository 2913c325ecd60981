"""The people a run could not name: what happened to each, and whether trying again may help."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, select

from app.db.engine import db
from app.errors import Conflict
from app.identities import asking, display, listing
from app.identities.display import Avatar, DisplayName
from app.identities.verdict import STOP_AFTER
from app.instagram.errors import Reason, sentence_of
from app.models.identity import Identity
from app.models.inbox import Conversation
from app.models.run import ACTIVE, ItemState, Run, RunItem
from app.runs import plan
from app.viewer import Role, Viewer

OURS = {"worker_died": "The lookup of this person ended a worker three times"}
RESOLVED_SINCE = "Resolved since"
LASTING = frozenset({Reason.CONSENT, Reason.REFUSED})  # trying again changes nothing until the person writes


@dataclass(frozen=True, slots=True)
class Unresolved:
    """One contact that a job could not resolve; `code` is Meta's or a word, `tries` of `most_tries` were automatic.

    What happened is the newest: a later lookup, `in_progress` or done, counts too.
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
        """The code as people read it: Meta's numbers are the API's, ours are words."""
        return f"API {self.code}" if self.code[:1].isdigit() else self.code.capitalize()


def of(viewer: Viewer, run_id: str, *, limit: int = 500) -> list[Unresolved]:
    """Return the people whom a run could not name, in the order of its plan; raises NotFound."""
    run = plan.require(viewer, run_id)
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
            Identity.alike,
            Identity.failure_count,
            Conversation.id.label("conversation_id"),
            Identity.id.label("identity_id"),
        )
        .outerjoin(Identity, _same_person(Identity, run))
        .outerjoin(Conversation, _same_person(Conversation, run))
        .where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED)
        .order_by(RunItem.position)
        .limit(limit)
    )
    return [_unresolved(row) for row in db.session.execute(found)]


def again(viewer: Viewer, run_id: str) -> int:
    """Try those again whom trying can help, for ops; returns how many.

    A run that has ended takes them up once more; beside one at work they are asked for one by one. Raises NotFound,
    and Conflict when there is nobody to try.
    """
    viewer.require(Role.OPS)
    if plan.require(viewer, run_id).state not in ACTIVE:
        return plan.retry(viewer, run_id, spare=LASTING)
    hopeful = [each.identity_id for each in of(viewer, run_id) if each.can_recover and each.identity_id]
    if not hopeful:
        raise Conflict("Nobody in this job can be tried again yet.")
    return asking.refresh_all(viewer, hopeful)


def _unresolved(row: Row[*tuple[Any, ...]]) -> Unresolved:
    shown = display.name_of(row.ig_participant_id, row.username, row.name, alike=row.alike)
    reason, code = _newest(row)
    due_since = row.next_try_at is None or row.settled_at is None or row.next_try_at >= row.settled_at
    in_progress = due_since and listing.in_progress(row)
    return Unresolved(
        ig_participant_id=row.ig_participant_id,
        conversation_id=row.conversation_id,
        identity_id=row.identity_id,
        display=shown,
        avatar=display.avatar(row.ig_participant_id, shown),
        what_happened="Looking up now" if in_progress else _sentence(reason) if reason else RESOLVED_SINCE,
        code=code or "",
        tries=min(row.failure_count or 0, STOP_AFTER),
        most_tries=STOP_AFTER,
        can_recover=reason is not None and reason not in LASTING and not in_progress,
        in_progress=in_progress,
    )


def _newest(row: Row[*tuple[Any, ...]]) -> tuple[str | None, str | None]:
    """Return reason and code of the newest lookup, without a reason if it resolved the contact after the job."""
    if row.settled_at is not None and row.last_success_at is not None and row.last_success_at > row.settled_at:
        return None, None
    if row.settled_at is not None and row.last_failure_at is not None and row.last_failure_at > row.settled_at:
        return row.last_error or row.reason, row.last_error_code or row.code
    return row.reason, row.code


def _same_person(table: type[Identity] | type[Conversation], run: Run) -> ColumnElement[bool]:
    return and_(table.account_id == run.account_id, table.ig_participant_id == RunItem.ig_participant_id)


def _sentence(reason: str) -> str:
    return OURS.get(reason) or sentence_of(reason)
