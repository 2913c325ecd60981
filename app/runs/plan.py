"""The plan of a job: how many contacts it can name, who stays unknown and why, and what it costs.

One function for pages, API and command line. Its work is bounded: of an account with very many contacts it reads the
counts that the scheduler stores.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select

from app import clock
from app.calls import budget
from app.db import transaction
from app.db.engine import db
from app.db.planning import planned_for_values
from app.identities.failure_policy import LASTING_REASONS
from app.identities.reasons import NEVER_TRIED
from app.instagram.errors import Reason
from app.labels import label
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import Run, RunKind, RunPlan
from app.runs import estimate, kinds, lifecycle, selection
from app.runs.selection import ContactGroup, PageScan, Selection
from app.text import plural
from app.viewer import Viewer

MOST_COUNTED = 1_000  # contacts that a request counts; of larger accounts it reads the stored counts
MOST_RANKED = 2_500  # newest conversations among which a request looks for pages worth reading
RECOUNT = timedelta(minutes=10)
SAMPLE = 1_000  # newest conversations, for the share of contacts that an account's lookups name
LEAST_TRIED = 20  # of the sample, for the share to say something


class Certainty(StrEnum):
    """How sure a plan is of its numbers."""

    EXACT = "exact"  # every contact was looked up before
    ESTIMATED = "estimated"  # others are named as often as earlier contacts of the account
    UNKNOWN = "unknown"  # too few contacts of the account were looked up yet
    NOT_COUNTED = "not_counted"  # the contacts are too many to count for a request


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job would do if it started now. Times are aware UTC.

    Of `contacts`, `known` have a name already; `nameable` of the others can be named (None: not knowable yet), and
    `stays_unknown` holds the rest by reason, most first. "never_tried" there are those that are expected to fail.
    `people` are looked up, with `calls`, `budget_share` of an hour's calls; `done_at` is None without Redis.
    `starts_at` is set while no call can be made. `counted_at` is set for stored counts, which may be out of date;
    `is_counted_later` while there are none yet.
    """

    kind: RunKind
    certainty: Certainty
    contacts: int = 0
    known: int = 0
    nameable: int | None = None
    stays_unknown: tuple[tuple[str, int], ...] = ()
    untried: int = 0
    people: int = 0
    calls: int = 0
    seconds: int | None = None
    budget_share: float = 0.0
    starts_at: datetime | None = None
    done_at: datetime | None = None
    counted_at: datetime | None = None
    active_run: str | None = None
    is_counted_later: bool = False

    @property
    def staying(self) -> int:
        """The number of contacts that stay unknown, as far as is known."""
        return sum(number for _, number in self.stays_unknown)

    @property
    def in_vain(self) -> bool:
        """Whether no contact can be named, for a reason that is known now; a refresh of known contacts is not."""
        fresh = self.counted_at is None and self.certainty is not Certainty.NOT_COUNTED
        return fresh and self.nameable == 0 and self.staying > 0 and not self.known


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of a plan's sentence; `filters` are those of the list of identities that it counts, or None."""

    text: str
    filters: Mapping[str, str] | None = None


@planned_for_values()
def get_plan(viewer: Viewer, selected: Selection) -> Plan:
    """Return the plan of a job of these contacts; raises Invalid and NotFound as its start does."""
    selection.require_valid(viewer, selected)
    active = lifecycle.active_run(selected.account_id, selected.kind)
    groups = selection.count_groups(selected, most=MOST_COUNTED)
    if groups is not None:
        people = sum(group.contacts for group in groups if not group.skipped)
        scan = selection.plan_page_scan(selected, contacts=people, most=MOST_RANKED)
        return _plan(selected, groups, scan, active_run=active)
    later = selected == Selection(selected.account_id, selected.kind)
    stored = db.session.get(RunPlan, (selected.account_id, selected.kind)) if later else None
    if stored is None:
        return Plan(selected.kind, Certainty.NOT_COUNTED, active_run=active, is_counted_later=later)
    groups = [ContactGroup(**each) for each in stored.contacts["groups"]]
    scan = PageScan(**stored.contacts["scan"])
    return _plan(selected, groups, scan, active_run=active, counted_at=stored.counted_at)


def count_large() -> None:
    """Store the counts of accounts with very many contacts, every ten minutes and after each job; for the scheduler."""
    for account_id in list(db.session.scalars(select(Account.id).where(Account.state != AccountState.DELETING))):
        for kind in kinds.LOOKUPS:
            if _is_due(account_id, kind):
                _store(Selection(account_id, kind))
            db.session.rollback()


def as_dict(plan: Plan) -> dict[str, Any]:
    """Return a plan of unknown contacts as JSON of the API and of commands; times are RFC 3339."""
    return {
        "certainty": plan.certainty.value,
        "people": plan.contacts - plan.known,
        "nameable": plan.nameable,
        "staysUnknown": [{"reason": reason, "count": number} for reason, number in plan.stays_unknown],
        "lookedUp": plan.people,
        "calls": plan.calls,
        "budgetShare": plan.budget_share,
        "startsAt": clock.rfc3339(plan.starts_at),
        "doneBy": clock.rfc3339(plan.done_at),
        "countedAt": clock.rfc3339(plan.counted_at),
        "activeJobId": plan.active_run,
    }


def phrases(plan: Plan, at: Callable[[datetime], str]) -> list[Phrase]:
    """Return the sentence about a plan in pieces, for readers; `at` formats a time."""
    if plan.certainty is Certainty.NOT_COUNTED:
        later = "The plan is counted in the background: reload in a minute."
        more = f"More than {MOST_COUNTED:,} contacts. "
        return [Phrase(more + (later if plan.is_counted_later else "Narrow the filter to see the plan."))]
    if not plan.contacts:
        return [Phrase(kinds.RULES[plan.kind].none_found)]
    pieces = [*_known(plan), *_nameable(plan), *_staying(plan), Phrase(_cost(plan, at)), *_limited(plan)]
    return [Phrase(pieces[0].text[:1].upper() + pieces[0].text[1:], pieces[0].filters), *pieces[1:]]


def as_text(plan: Plan, at: Callable[[datetime], str]) -> str:
    """Return the sentence about a plan as text."""
    return "".join(phrase.text for phrase in phrases(plan, at))


def _plan(
    selected: Selection,
    groups: list[ContactGroup],
    scan: PageScan,
    *,
    active_run: str | None,
    counted_at: datetime | None = None,
) -> Plan:
    staying: Counter[str] = Counter()
    known = untried = people = 0
    for group in groups:
        people += 0 if group.skipped else group.contacts
        if group.known:
            known += group.contacts
        elif group.skipped or group.reason in LASTING_REASONS:
            staying[group.reason or NEVER_TRIED] += group.contacts
        else:
            untried += group.contacts
    share = _share(selected.account_id) if untried else 1.0
    nameable = None if share is None else round(share * untried)
    if nameable is not None and nameable < untried:
        staying[NEVER_TRIED] += untried - nameable
    forecast = budget.forecast(selected.account_id)
    cost = estimate.estimate_contacts(people, scan, forecast)
    waits = forecast is not None and cost.calls and forecast.free_at > clock.now()
    return Plan(
        kind=selected.kind,
        certainty=Certainty.EXACT if not untried else Certainty.UNKNOWN if share is None else Certainty.ESTIMATED,
        contacts=sum(group.contacts for group in groups),
        known=known,
        nameable=nameable,
        stays_unknown=tuple(sorted(staying.items(), key=lambda each: (-each[1], each[0]))),
        untried=untried,
        people=people,
        calls=cost.calls,
        seconds=cost.seconds,
        budget_share=round(cost.calls / forecast.limit, 3) if forecast else 0.0,
        starts_at=forecast.free_at if forecast and waits else None,
        done_at=None if cost.seconds is None else clock.now() + timedelta(seconds=cost.seconds),
        counted_at=counted_at,
        active_run=active_run,
    )


def _share(account_id: int) -> float | None:
    """Return the share of looked-up contacts that got a name, among the newest; None if too few were looked up."""
    newest = select(Conversation.ig_participant_id, Conversation.known, Conversation.last_message_at)
    newest = newest.where(Conversation.account_id == account_id)
    sample = newest.order_by(Conversation.last_message_at.desc(), Conversation.id.desc()).limit(SAMPLE).subquery()
    unnamed = (
        select(func.count())
        .select_from(sample)
        .join(Identity, Identity.is_contact(account_id, sample.c.ig_participant_id))
    )
    lasting = unnamed.where(~sample.c.known, Identity.last_error.in_(LASTING_REASONS))
    failed = db.session.execute(lasting).scalar_one()
    named = db.session.execute(select(func.count()).select_from(sample).where(sample.c.known)).scalar_one()
    return named / (named + failed) if named + failed >= LEAST_TRIED else None


@planned_for_values()
def _is_due(account_id: int, kind: RunKind) -> bool:
    selected = Selection(account_id, kind)
    if selection.count_groups(selected, most=MOST_COUNTED) is not None:
        return False
    stored = db.session.get(RunPlan, (account_id, kind))
    if stored is None or stored.counted_at < clock.now() - RECOUNT:
        return True
    ended = select(Run.id).where(Run.account_id == account_id, Run.finished_at > stored.counted_at)
    return db.session.execute(ended.limit(1)).first() is not None


def _store(selected: Selection) -> None:
    counted_at = clock.now()
    with planned_for_values():
        groups = selection.count_groups(selected) or []
        people = sum(group.contacts for group in groups if not group.skipped)
        scan = selection.plan_page_scan(selected, contacts=people)
    counted: dict[str, Any] = {"groups": [asdict(group) for group in groups], "scan": asdict(scan)}
    values = {"counted_at": counted_at, "contacts": counted}
    with transaction.write() as tx:
        if tx.execute(select(Account.id).where(Account.id == selected.account_id)).first() is None:
            return
        row = tx.insert(RunPlan).values(account_id=selected.account_id, kind=selected.kind, **values)
        tx.execute(row.on_conflict_do_update(index_elements=["account_id", "kind"], set_=values))


def _known(plan: Plan) -> list[Phrase]:
    if not plan.known:
        return []
    renewed = Phrase(f"{plan.known:,} known {'contact is' if plan.known == 1 else 'contacts are'} looked up again")
    return [renewed, Phrase(", ")] if plan.contacts > plan.known else [renewed]


def _nameable(plan: Plan) -> list[Phrase]:
    if plan.contacts == plan.known:
        return []
    unknown = {"state": "unknown"}
    if plan.nameable is None:
        have = "has" if plan.untried == 1 else "have"
        untried = Phrase(f"{plan.untried:,} {have} not been looked up yet", unknown | {"reason": NEVER_TRIED})
        return [untried, Phrase(" and may get a name")]
    if not plan.nameable:
        return [Phrase("no unknown contact can be named now")]
    about = "about " if plan.certainty is Certainty.ESTIMATED else ""
    return [Phrase(f"{about}{plan.nameable:,} can be named", unknown)]


def _staying(plan: Plan) -> list[Phrase]:
    if not plan.staying:
        return []
    verb = "will probably stay" if plan.certainty is Certainty.ESTIMATED else "will stay"
    pieces = [Phrase(", "), Phrase(f"{plan.staying:,} {verb} unknown", {"state": "unknown"}), Phrase(": ")]
    for reason, number in plan.stays_unknown:
        pieces += [Phrase(f"{number:,} {_words(reason)}", {"state": "unknown", "reason": reason}), Phrase(", ")]
    return pieces[:-1]


def _limited(plan: Plan) -> list[Phrase]:
    most = selection.MOST_CONTACTS
    return [Phrase(f" A job takes the newest {most:,} contacts.")] if plan.contacts >= most else []


def _words(reason: str) -> str:
    if reason == NEVER_TRIED:
        return "not looked up yet"
    return label(Reason(reason)).lower() if reason in set(Reason) else "for other reasons"


def _cost(plan: Plan, at: Callable[[datetime], str]) -> str:
    if not plan.people:
        return ". Nothing to look up."
    calls = plural(plan.calls, "call", thousands=",")
    if plan.done_at is None:
        return f"; {calls}. The duration is unknown: Nametag can’t reach Redis."
    waits = f" The API call budget is used up until {at(plan.starts_at)}." if plan.starts_at else ""
    counted = f" Counted at {at(plan.counted_at)}." if plan.counted_at else ""
    return f"; done by {at(estimate.minute_up(plan.done_at))} with {calls}.{waits}{counted}"
