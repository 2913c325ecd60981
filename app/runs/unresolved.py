"""The people a run could not name: what happened to each, and whether trying again may help."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from app.db.engine import db
from app.errors import Conflict
from app.identities import asking, display
from app.identities.display import Avatar, DisplayName
from app.identities.verdict import NOT_RETRYABLE, STOP_AFTER
from app.instagram.errors import SENTENCES, Reason, sentence_of
from app.models.identity import Identity
from app.models.inbox import Conversation
from app.models.run import ACTIVE, ItemState, Run, RunItem
from app.runs import plan
from app.viewer import Role, Viewer

OURS = {"worker_died": "The lookup of this person ended a worker three times"}


@dataclass(frozen=True, slots=True)
class Unresolved:
    """One person whom a run could not name; `code` is Meta's or a word, `tries` of `most_tries` were automatic."""

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

    @property
    def code_words(self) -> str:
        """The code as people read it: Meta's numbers are the API's, ours are words."""
        return f"API {self.code}" if self.code[:1].isdigit() else self.code.capitalize()


@dataclass(frozen=True, slots=True)
class Retry:
    """What a retry does: `contacts` to look up again, and how many it left out by the reason of their failure."""

    contacts: int
    left_out: Mapping[Reason, int]

    @property
    def text(self) -> str:
        """The result in sentences for people."""
        return " ".join((f"Retrying {_contacts(self.contacts)}.", *_left_out(self.left_out)))


def of(viewer: Viewer, run_id: str, *, limit: int = 500) -> list[Unresolved]:
    """Return the people whom a run could not name, in the order of its plan; raises NotFound."""
    run = plan.require(viewer, run_id)
    found = (
        select(
            RunItem.ig_participant_id,
            RunItem.reason,
            RunItem.code,
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


def retry(viewer: Viewer, run_id: str) -> Retry:
    """Retry the failed contacts of a run, except those that a retry cannot help; for ops.

    A run that has ended is reopened; while it is active, its contacts are refreshed one by one. Raises NotFound,
    AlreadyRunning, and Conflict when there is no contact to retry.
    """
    viewer.require(Role.OPS)
    run = plan.require(viewer, run_id)
    counted = select(RunItem.reason, func.count().label("contacts")).group_by(RunItem.reason)
    failed = db.session.execute(counted.where(RunItem.run_id == run_id, RunItem.state == ItemState.FAILED))
    numbers = {row.reason: row.contacts for row in failed}
    left_out = {reason: numbers.pop(reason) for reason in Reason if reason in NOT_RETRYABLE & set(numbers)}
    if not numbers:
        raise Conflict(" ".join(("No contact in this job can be retried.", *_left_out(left_out))))
    if run.state not in ACTIVE:
        return Retry(plan.retry(viewer, run_id), left_out)
    found = [each.identity_id for each in of(viewer, run_id) if each.can_recover and each.identity_id]
    return Retry(asking.refresh_all(viewer, found), left_out)


def _unresolved(row: Row[*tuple[Any, ...]]) -> Unresolved:
    shown = display.name_of(row.ig_participant_id, row.username, row.name, alike=row.alike)
    return Unresolved(
        ig_participant_id=row.ig_participant_id,
        conversation_id=row.conversation_id,
        identity_id=row.identity_id,
        display=shown,
        avatar=display.avatar(row.ig_participant_id, shown),
        what_happened=_sentence(row.reason),
        code=row.code or "",
        tries=min(row.failure_count or 0, STOP_AFTER),
        most_tries=STOP_AFTER,
        can_recover=row.reason not in NOT_RETRYABLE,
    )


def _same_person(table: type[Identity] | type[Conversation], run: Run) -> ColumnElement[bool]:
    return and_(table.account_id == run.account_id, table.ig_participant_id == RunItem.ig_participant_id)


def _sentence(reason: str) -> str:
    return OURS.get(reason) or sentence_of(reason)


def _left_out(reasons: Mapping[Reason, int]) -> Iterator[str]:
    return (f"Left out {_contacts(number)}: {SENTENCES[reason]}." for reason, number in reasons.items())


def _contacts(number: int) -> str:
    return f"{number} {'contact' if number == 1 else 'contacts'}"
