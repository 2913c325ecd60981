"""What the kinds of jobs differ in: one record per member of `RunKind`. Labels are in `app/labels.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false

from app import queue
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.run import RunKind


@dataclass(frozen=True, slots=True)
class KindRules:
    """What a kind of job looks up or syncs, how, and where its work waits.

    `contacts` are conditions on conversations, `scope` is the choice in the form, `summary` what the API documents.
    """

    task: str  # in `queue.TASKS`, which names the queue
    purpose: Purpose  # of its API calls
    scheduled_purpose: Purpose  # the same when the scheduler started it
    scope: str
    summary: str
    none_found: str  # says that there is no such contact
    contacts: tuple[ColumnElement[bool], ...] = ()
    of_unknown: bool = False  # only contacts without a name
    includes_fresh: bool = False  # also contacts that were looked up within 7 days before the job was created
    takes_days: bool = False  # may be limited to contacts with messages of the last days
    looks_up: bool = True  # its items are contacts to look up


RULES: Mapping[RunKind, KindRules] = {
    RunKind.BACKFILL: KindRules(
        task=queue.BACKFILL_SLICE,
        purpose=Purpose.BACKFILL,
        scheduled_purpose=Purpose.BACKFILL,
        scope="nameless",
        summary="looks up unknown contacts",
        none_found="No unknown contacts.",
        of_unknown=True,
        contacts=(Conversation.known == false(),),
        takes_days=True,
    ),
    RunKind.REFRESH: KindRules(
        task=queue.REFRESH_SLICE,
        purpose=Purpose.REFRESH,
        scheduled_purpose=Purpose.DAILY,
        scope="everyone",
        summary="looks up every contact again",
        none_found="No contacts.",
        includes_fresh=True,
    ),
    RunKind.SYNC: KindRules(
        task=queue.SYNC_SLICE,
        purpose=Purpose.SYNC,
        scheduled_purpose=Purpose.SYNC,
        scope="conversations",
        summary="syncs conversations",
        none_found="No conversations.",
        looks_up=False,
    ),
}
LOOKUPS = tuple(kind for kind, rules in RULES.items() if rules.looks_up)


def syncs(kind: RunKind) -> bool:
    """Return whether jobs of a kind sync conversations, and look no contacts up."""
    return kind in RULES and not RULES[kind].looks_up


def with_scope(scope: str) -> RunKind:
    """Return the kind of job that a choice in the form means; a backfill unless another kind has that scope."""
    return next((kind for kind in LOOKUPS if RULES[kind].scope == scope), RunKind.BACKFILL)
