"""Select the contacts of a job and their order, and plan how many conversation pages to read first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, not_, null, or_, select

from app import clock
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH
from app.instagram.errors import Reason
from app.models.account import ALL_IDS, Account, all_ids
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import ItemState, RunItem, RunKind
from app.runs import kinds

PAGE = 50  # conversations that one call lists
MOST_RECENT = 50  # contacts of a backfill that is limited to days
# A name is due for the scheduled refresh this long before it is stale. A picture URL is due only after it has expired:
# before that, Instagram may return the same one.
EXPIRES = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which contacts a job looks up: all of its kind, those of the last `days`, or `expiring` ones, at most `most`."""

    account_id: int
    kind: RunKind
    days: int | None = None
    expiring: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class PageScan:
    """How many conversation pages to read first, and how many of the job's contacts (`people`) are on them."""

    pages: int = 0
    people: int = 0


def select_items(selected: Selection) -> Select[Any]:
    """Select contact ID, position, state and reason of a job's items, newest conversation first."""
    skipped = and_(
        Identity.next_try_at.is_(None),
        or_(Identity.failure_count >= STOP_AFTER, Identity.last_error == Reason.CONSENT),
        not_(observations.without_recent_failure(clock.now(), FRESH)),
    )
    found = select(
        Conversation.ig_participant_id,
        func.row_number().over(order_by=_newest()).label("position"),
        case((skipped, ItemState.SKIPPED.value), else_=ItemState.PENDING.value).label("state"),
        case((skipped, Identity.last_error), else_=null()).label("reason"),
    ).outerjoin(Identity, _same_contact())
    found = found.where(Conversation.account_id == selected.account_id, *_conditions(selected, clock.now()))
    most = MOST_RECENT if selected.days is not None else selected.most
    return found if most is None else found.order_by(*_newest()).limit(most)


def plan_page_scan(selected: Selection) -> PageScan:
    """Return how many pages to read first, so that together they save the most calls."""
    wanted = select_items(selected).subquery()
    return _plan(
        selected.account_id, select(wanted.c.ig_participant_id).where(wanted.c.state == ItemState.PENDING.value)
    )


def replan_page_scan(run_id: str, account_id: int) -> PageScan:
    """Return the plan for the open items of a job; it starts at the first page again."""
    still = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.PENDING)
    return _plan(account_id, still)


def with_expired_picture(account_id: int) -> Select[str]:
    """Select contacts whose picture URL has expired: pages return none, so each of them needs a profile call."""
    expired = Identity.picture_expires_at < clock.now()
    return select(Identity.ig_participant_id).where(Identity.account_id == account_id, expired)


def own_ids(account_id: int) -> set[str]:
    """Return every ID that Meta uses for the account itself (docs/meta-platform.md#ids): none of them is a contact."""
    return set(all_ids(db.session.execute(select(*ALL_IDS).where(Account.id == account_id)).one()))


def worthwhile(contacts: Mapping[int, int]) -> PageScan:
    """Return the page scan that saves most calls; `contacts` maps a page to the number of the job's contacts on it.

    Pages are read in order, also those without such contacts. Each contact after the last page read costs one call.
    """
    best, saved, most_saved, found = PageScan(), 0, 0, 0
    for page in range(max(contacts, default=-1) + 1):
        found += contacts.get(page, 0)
        saved += contacts.get(page, 0) - 1
        if saved > most_saved:
            best, most_saved = PageScan(page + 1, found), saved
    return best


def _plan(account_id: int, wanted: Select[str]) -> PageScan:
    rank = func.row_number().over(order_by=_newest()) - 1
    every = select(Conversation.ig_participant_id, rank.label("rank"))
    ranked = every.where(Conversation.account_id == account_id).subquery()
    page = (ranked.c.rank // PAGE).label("page")
    contact = ranked.c.ig_participant_id
    # Not a join: SQLite would compare each row of one subquery with each of the other.
    counted = select(page, func.count().label("contacts")).where(
        contact.in_(wanted), contact.not_in(with_expired_picture(account_id))
    )
    return worthwhile({int(row.page): row.contacts for row in db.session.execute(counted.group_by(page))})


def _conditions(selected: Selection, now: datetime) -> list[ColumnElement[bool]]:
    # Earlier systems wrote UNKNOWN_… where Meta's ID was missing; such a contact cannot be looked up.
    conditions = [~Conversation.ig_participant_id.startswith("UNKNOWN_", autoescape=True)]
    conditions.append(Conversation.ig_participant_id.not_in(own_ids(selected.account_id)))
    conditions += kinds.RULES[selected.kind].contacts
    if selected.days is not None:
        conditions.append(Conversation.last_message_at >= now - timedelta(days=selected.days))
    if selected.expiring:
        named_long_ago = Identity.last_success_at < now - FRESH + EXPIRES
        # A failed lookup has its own retry; a known contact is selected again a week after it.
        conditions += [
            observations.without_recent_failure(now, FRESH),
            or_(named_long_ago, Identity.picture_expires_at < now),
        ]
    return conditions


def _newest() -> tuple[ColumnElement[Any], ...]:
    return Conversation.last_message_at.desc(), Conversation.id.desc()


def _same_contact() -> ColumnElement[bool]:
    return and_(
        Identity.account_id == Conversation.account_id, Identity.ig_participant_id == Conversation.ig_participant_id
    )
