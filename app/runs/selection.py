"""Who is in a run, in which order, and how many of them conversation pages would name."""

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
from app.models.identity import Identity
from app.models.inbox import ALL_IDS, Account, Conversation, all_ids
from app.models.run import ItemState, RunItem, RunKind
from app.runs import kinds

PAGE = 50  # conversations that one call lists (performance.md 3)
MOST_RECENT = 50  # people at most, when only those of the last days are asked for (product.md 7)
EXPIRES = timedelta(days=1)  # a name is due for its daily refresh so long before it is seven days old; a picture's
# address only when it has ended: before that, Instagram may tell the same one again


@dataclass(frozen=True, slots=True)
class Selection:
    """The people of a run: everyone of its kind; or of the last `days`; or a refresh's who expire, at most `most`."""

    account_id: int
    kind: RunKind
    days: int | None = None
    expiring: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class PageScan:
    """How many conversation pages are worth reading, and how many of the people stand on them."""

    pages: int = 0
    people: int = 0


def select_items(crowd: Selection) -> Select[Any]:
    """Select participant, position, state and reason of a run's items, the newest conversation first."""
    hopeless = and_(
        Identity.next_try_at.is_(None),
        or_(Identity.failure_count >= STOP_AFTER, Identity.last_error == Reason.CONSENT),
        not_(observations.rested(clock.now(), FRESH)),
    )
    found = select(
        Conversation.ig_participant_id,
        func.row_number().over(order_by=_newest()).label("position"),
        case((hopeless, ItemState.SKIPPED.value), else_=ItemState.TODO.value).label("state"),
        case((hopeless, Identity.last_error), else_=null()).label("reason"),
    ).outerjoin(Identity, _whose())
    found = found.where(Conversation.account_id == crowd.account_id, *_belong(crowd, clock.now()))
    most = MOST_RECENT if crowd.days is not None else crowd.most
    return found if most is None else found.order_by(*_newest()).limit(most)


def plan_page_scan(crowd: Selection) -> PageScan:
    """Return how many pages to read first, so that together they save the most calls."""
    wanted = select_items(crowd).subquery()
    return _sweep(crowd.account_id, select(wanted.c.ig_participant_id).where(wanted.c.state == ItemState.TODO.value))


def replan_page_scan(run_id: str, account_id: int) -> PageScan:
    """Return the same for those of a run who are still open: pages count from the first, most of which helps nobody."""
    still = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.TODO)
    return _sweep(account_id, still)


def with_expired_picture(account_id: int) -> Select[str]:
    """Select the people whose picture's address has ended: pages bring none, so each of them is asked for alone."""
    ended = Identity.picture_expires_at < clock.now()
    return select(Identity.ig_participant_id).where(Identity.account_id == account_id, ended)


def own_ids(account_id: int) -> set[str]:
    """Return every id under which Meta names the account itself (instagram-platform.md 2): none is a participant."""
    return set(all_ids(db.session.execute(select(*ALL_IDS).where(Account.id == account_id)).one()))


def worthwhile(people: Mapping[int, int]) -> PageScan:
    """Return the sweep that saves most; `people` says how many wanted ones stand on each page.

    Pages come in turn: a page without anybody has to be read to come to the next. One call for each who is left over.
    """
    best, saved, most_saved, met = PageScan(), 0, 0, 0
    for page in range(max(people, default=-1) + 1):
        met += people.get(page, 0)
        saved += people.get(page, 0) - 1
        if saved > most_saved:
            best, most_saved = PageScan(page + 1, met), saved
    return best


def _sweep(account_id: int, wanted: Select[str]) -> PageScan:
    place = func.row_number().over(order_by=_newest()) - 1
    everyone = select(Conversation.ig_participant_id, place.label("place"))
    ranked = everyone.where(Conversation.account_id == account_id).subquery()
    page = (ranked.c.place // PAGE).label("page")
    person = ranked.c.ig_participant_id
    # Not a join: SQLite would compare each row of one subquery with each of the other.
    counted = select(page, func.count().label("people")).where(
        person.in_(wanted), person.not_in(with_expired_picture(account_id))
    )
    return worthwhile({int(row.page): row.people for row in db.session.execute(counted.group_by(page))})


def _belong(crowd: Selection, now: datetime) -> list[ColumnElement[bool]]:
    # Older systems wrote UNKNOWN_… where Meta's id was missing; nobody can be asked about such a person.
    belong = [~Conversation.ig_participant_id.startswith("UNKNOWN_", autoescape=True)]
    belong.append(Conversation.ig_participant_id.not_in(own_ids(crowd.account_id)))
    belong += kinds.RULES[crowd.kind].contacts
    if crowd.days is not None:
        belong.append(Conversation.last_message_at >= now - timedelta(days=crowd.days))
    if crowd.expiring:
        named_long_ago = Identity.last_success_at < now - FRESH + EXPIRES
        # A failed lookup has a retry of its own; a known contact takes part again a week after it.
        belong += [observations.rested(now, FRESH), or_(named_long_ago, Identity.picture_expires_at < now)]
    return belong


def _newest() -> tuple[ColumnElement[Any], ...]:
    return Conversation.last_message_at.desc(), Conversation.id.desc()


def _whose() -> ColumnElement[bool]:
    return and_(
        Identity.account_id == Conversation.account_id, Identity.ig_participant_id == Conversation.ig_participant_id
    )
