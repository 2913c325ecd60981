"""Select the contacts of a job and their order, and plan how many conversation pages to read first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, case, false, func, not_, null, or_, select

from app import clock
from app.db.engine import db
from app.errors import Invalid, NotFound
from app.identities import listing, observations
from app.identities.failure_policy import STOP_AFTER
from app.identities.listing import IdentityFilter
from app.identities.observations import FRESH
from app.identities.reasons import NEVER_TRIED
from app.instagram.errors import Reason
from app.models.account import ALL_IDS, Account, AccountState, all_ids
from app.models.contact import same_contact
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.run import ItemState, RunItem, RunKind, RunScope
from app.runs import kinds
from app.viewer import Viewer

PAGE = 50  # conversations that one call lists
DAYS = range(1, 91)
MOST_RECENT = 50  # contacts of a backfill that is limited to days
MOST_CHOSEN = 200  # contacts that a user selects one by one
MOST_CONTACTS = 50_000  # of one job, the newest; its start stores them in the request that starts it
# A name is due for the scheduled refresh this long before it is stale. A picture URL is due only after it has expired:
# before that, Instagram may return the same one.
EXPIRES = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which contacts a job looks up: all of its kind, those of the last `days`, or `expiring` ones, at most `most`.

    Never more than MOST_CONTACTS, the newest ones.

    From the Identities page: those that match a filter, or that a user chose by the IDs of their identities. These are
    looked up whatever failed before.
    """

    account_id: int
    kind: RunKind
    days: int | None = None
    expiring: bool = False
    most: int | None = None
    matching: IdentityFilter | None = None
    chosen: tuple[int, ...] = ()

    @property
    def scope(self) -> RunScope:
        """What limits the contacts of the job."""
        if self.chosen:
            return RunScope.CHOSEN
        if self.matching is not None:
            return RunScope.FILTER
        if self.expiring:
            return RunScope.EXPIRING
        return RunScope.ALL if self.days is None else RunScope.RECENT


@dataclass(frozen=True, slots=True)
class PageScan:
    """How many conversation pages to read first, and how many of the job's contacts (`people`) are on them."""

    pages: int = 0
    people: int = 0


@dataclass(frozen=True, slots=True)
class ContactGroup:
    """Contacts of a job with the same prospects.

    `reason` says why their last lookup failed, "never_tried" if there was none, None for a known contact without a
    failure. `skipped`: the job does not look them up.
    """

    known: bool
    reason: str | None
    skipped: bool
    contacts: int


def require_valid(viewer: Viewer, selected: Selection) -> None:
    """Raise Invalid for impossible days or chosen contacts, NotFound for what the viewer may not see."""
    if selected.days is not None and (not kinds.RULES[selected.kind].takes_days or selected.days not in DAYS):
        raise Invalid({"days": "The days must be a whole number from 1 to 90, and apply to backfills only."})
    require_account(viewer, selected.account_id)
    if len(selected.chosen) > MOST_CHOSEN:
        raise Invalid({"identity": f"Select at most {MOST_CHOSEN} contacts, or all that match the filter."})
    if selected.chosen:
        found = select(func.count()).where(Identity.account_id == selected.account_id, Identity.id.in_(selected.chosen))
        if db.session.execute(found).scalar_one() != len(set(selected.chosen)):
            raise NotFound("identity")


def require_account(viewer: Viewer, account_id: int | None) -> Account:
    """Return the account of a job. Raises NotFound if it is being removed, or the viewer may not see it."""
    account = db.session.get(Account, account_id) if account_id is not None else None
    if account is None or not viewer.sees(account.id) or account.state is AccountState.DELETING:
        raise NotFound("account")
    return account


def select_items(selected: Selection) -> Select[Any]:
    """Select contact ID, position, state and reason of a job's items, newest conversation first."""
    skipped = _skipped(selected)
    newest = _order(selected)
    most = _most(selected)
    found = _selected(
        selected,
        most,
        _contact(selected).label("ig_participant_id"),
        func.row_number().over(order_by=newest).label("position"),
        case((skipped, ItemState.SKIPPED.value), else_=ItemState.PENDING.value).label("state"),
        case((skipped, Identity.last_error), else_=null()).label("reason"),
    )
    return found.order_by(*newest).limit(most)


def count_groups(selected: Selection, *, most: int | None = None) -> list[ContactGroup] | None:
    """Return the contacts of a job in groups; None if there are more than `most`, which are not all read."""
    never = and_(Identity.last_success_at.is_(None), Identity.last_failure_at.is_(None))
    known = Identity.has_name if _by_identity(selected) else Conversation.known
    reason = func.coalesce(Identity.last_error, case((or_(never, ~known), NEVER_TRIED), else_=null()))
    limit = min(_most(selected), MOST_CONTACTS if most is None else most + 1)
    columns = (known.label("known"), reason.label("reason"), _skipped(selected).label("skipped"))
    each = _selected(selected, limit, *columns).order_by(*_order(selected)).limit(limit).subquery()
    counted = select(each.c.known, each.c.reason, each.c.skipped, func.count().label("contacts"))
    rows = db.session.execute(counted.group_by(each.c.known, each.c.reason, each.c.skipped)).all()
    if most is not None and sum(row.contacts for row in rows) > most:
        return None
    return [ContactGroup(bool(row.known), row.reason, bool(row.skipped), row.contacts) for row in rows]


def plan_page_scan(selected: Selection, *, contacts: int | None = None, most: int = MOST_CONTACTS) -> PageScan:
    """Return how many pages to read first, so that together they save the most calls.

    `contacts` is the number of contacts to look up, if the caller has counted them. Of the conversations the newest
    `most` are considered.
    """
    wanted = select_items(selected).subquery()
    pending = select(wanted.c.ig_participant_id).where(wanted.c.state == ItemState.PENDING.value)
    return _plan(selected.account_id, pending, contacts, most)


def replan_page_scan(run_id: str, account_id: int) -> PageScan:
    """Return the plan for the open items of a job; it starts at the first page again."""
    still = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.PENDING)
    return _plan(account_id, still)


def has_expired_picture(account_id: int, contact: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Select contacts whose picture URL has expired: pages return none, so each of them needs a profile call."""
    expired = Identity.picture_expires_at < clock.now()
    return select(Identity.id).where(expired, Identity.is_contact(account_id, contact)).exists()


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


def _plan(account_id: int, wanted: Select[str], contacts: int | None = None, most: int = MOST_CONTACTS) -> PageScan:
    if contacts is None:
        contacts = db.session.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    # A page pays off while the contacts found outnumber the pages read: never deeper than one page per contact.
    deepest = min(most, PAGE * contacts)
    newest = select(Conversation.ig_participant_id, Conversation.last_message_at, Conversation.id)
    newest = newest.where(Conversation.account_id == account_id).order_by(*_newest()).limit(deepest)
    top = newest.subquery()
    rank = func.row_number().over(order_by=(top.c.last_message_at.desc(), top.c.id.desc())) - 1
    ranked = select(top.c.ig_participant_id, rank.label("rank")).subquery()
    page = (ranked.c.rank // PAGE).label("page")
    contact = ranked.c.ig_participant_id
    # Not a join: SQLite would compare each row of one subquery with each of the other.
    counted = select(page, func.count().label("contacts")).where(
        contact.in_(wanted), ~has_expired_picture(account_id, contact)
    )
    return worthwhile({int(row.page): row.contacts for row in db.session.execute(counted.group_by(page))})


def _by_identity(selected: Selection) -> bool:
    """Return whether the selection is made on the Identities page: such contacts may have no conversation."""
    return selected.scope in (RunScope.FILTER, RunScope.CHOSEN)


def _contact(selected: Selection) -> SQLColumnExpression[str]:
    return Identity.ig_participant_id if _by_identity(selected) else Conversation.ig_participant_id


def _selected(selected: Selection, most: int, *columns: Any) -> Select[Any]:
    """Select these columns of the job's contacts; of those that match a filter only the `most` newest."""
    if _by_identity(selected):
        found = select(*columns).select_from(Identity).outerjoin(Conversation, same_contact(Identity, Conversation))
        found = found.where(Identity.account_id == selected.account_id)
    else:
        found = select(*columns).select_from(Conversation).outerjoin(Identity, same_contact(Identity, Conversation))
        found = found.where(Conversation.account_id == selected.account_id)
    return found.where(*_conditions(selected, most, clock.now()))


def _skipped(selected: Selection) -> ColumnElement[bool]:
    if _by_identity(selected):
        return false()
    return and_(
        Identity.next_try_at.is_(None),
        or_(Identity.failure_count >= STOP_AFTER, Identity.last_error == Reason.CONSENT),
        not_(observations.without_recent_failure(clock.now(), FRESH)),
    )


def _order(selected: Selection) -> tuple[ColumnElement[Any], ...]:
    if _by_identity(selected):
        return Conversation.last_message_at.desc().nulls_last(), Identity.id.desc()
    return _newest()


def _most(selected: Selection) -> int:
    return MOST_RECENT if selected.days is not None else selected.most or MOST_CONTACTS


def _conditions(selected: Selection, most: int, now: datetime) -> list[ColumnElement[bool]]:
    # Earlier systems wrote UNKNOWN_… where Meta's ID was missing; such a contact cannot be looked up.
    contact = _contact(selected)
    conditions = [~contact.startswith("UNKNOWN_", autoescape=True), contact.not_in(own_ids(selected.account_id))]
    if selected.chosen:
        return [*conditions, Identity.id.in_(selected.chosen)]
    if selected.matching is not None:
        # Limited before they are sorted by conversation: by ID there is an index for each filter.
        matching = listing.conditions(selected.matching, (selected.account_id,))
        newest = select(Identity.id).where(Identity.account_id == selected.account_id, *matching)
        return [*conditions, Identity.id.in_(newest.order_by(Identity.id.desc()).limit(most))]
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
