"""The list of identities, in keyset pages: names, states, and why a name is missing. Filters and search."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from app import clock, text
from app.db.engine import db
from app.db.membership import one_of
from app.db.paging import fetch_page, make_cursor, parse_cursor
from app.errors import Invalid, NotFound
from app.identities import avatars, contact_search, display
from app.identities.contact_search import Contacts
from app.identities.display import Avatar, DisplayName
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH, is_fresh
from app.identities.reasons import NEVER_TRIED, STOPPED, describe
from app.instagram.errors import Reason
from app.models.account import Account, AccountState
from app.models.identity import FRESH_FROM, Identity, Source, StoredAvatar
from app.viewer import Viewer

Position = tuple[datetime, int]  # of a row: when the name was last confirmed, and the ID

ROWS = 50
COUNTED = 10_000  # more is shown as 10,000+
MOST_ROWS = 200
CHUNK_ROWS = 500  # that an export holds in memory
SOON = timedelta(seconds=30)  # a lookup that has been due for longer waits for the budget or a worker


class NameState(StrEnum):
    """The state of an identity: a fresh name, a stale one, or none."""

    KNOWN = "known"
    STALE = "stale"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ListedIdentity:
    """The identity of one contact. Times are aware UTC; `reason` is one of REASONS or None, `sentence` its text."""

    id: int
    account_id: int
    ig_account_id: str
    ig_participant_id: str
    display: DisplayName
    avatar: Avatar
    state: NameState
    username: str | None
    name: str | None
    source: Source | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    failure_count: int
    reason: str | None
    sentence: str | None
    next_try_at: datetime | None
    in_progress: bool


@dataclass(frozen=True, slots=True)
class IdentityFilter:
    """Which identities to list; `after` is the position of the last row of the previous page."""

    account_id: int | None = None
    state: NameState | None = None
    reason: str | None = None
    q: str = ""
    limit: int = ROWS
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class IdentityListPage:
    """One page of the list; `after` continues with the next page, None on the last one.

    `limited`: a search matches more than the newest contacts that were looked at.
    """

    rows: tuple[ListedIdentity, ...]
    after: Position | None
    limited: bool = False

    @property
    def cursor(self) -> str | None:
        """The `after` of the next page's URL."""
        return make_cursor(*self.after) if self.after else None


def parse_filter(
    *,
    account_id: int | None = None,
    state: str | None = None,
    reason: str | None = None,
    q: str = "",
    limit: int = ROWS,
    after: str | None = None,
) -> IdentityFilter:
    """Return the filter that query parameters ask for; raises Invalid with a text per wrong parameter."""
    if state and state not in set(NameState):
        raise Invalid({"state": "The state must be known, stale or unknown."})
    if reason and reason not in REASONS:
        raise Invalid({"reason": f"The reason must be one of {', '.join(REASONS)}."})
    if len(q) > text.SEARCH_CHARACTERS:
        raise Invalid({"q": f"A search term can have at most {text.SEARCH_CHARACTERS} characters."})
    if not 1 <= limit <= MOST_ROWS:
        raise Invalid({"limit": f"The limit must be a whole number from 1 to {MOST_ROWS}."})
    return IdentityFilter(
        account_id=account_id,
        state=NameState(state) if state else None,
        reason=reason or None,
        q=text.storable(q.strip()),
        limit=limit,
        after=parse_cursor(after) if after else None,
    )


def page(viewer: Viewer, want: IdentityFilter) -> IdentityListPage:
    """Return one page of the identities the viewer may see, newest contact first.

    Of known names those confirmed last come first, of stale names those confirmed longest ago. A search looks at the
    newest matching contacts only (contact_search.MOST), so that a common word reads no more than a rare one.
    """
    matching = contact_search.find(want.q, _account_ids(viewer, want)) if want.q else None
    found, last = fetch_page(select_first(viewer, want, MOST_ROWS + 1, matching), want.limit)
    of_page = _visible(viewer).where(one_of(Identity.id, [each.id for each in found]))
    rows = {row.id: row for row in db.session.execute(of_page)}
    shown = tuple(listed(rows[each.id]) for each in found if each.id in rows)  # a contact may be deleted in between
    limited = matching is not None and len(matching) >= contact_search.MOST
    return IdentityListPage(shown, (last.fresh_from, last.id) if last else None, limited)


def conditions(want: IdentityFilter, account_ids: tuple[int, ...] | None) -> list[ColumnElement[bool]]:
    """Return the conditions on `identities` of these accounts (None for all) of a filter's state, reason and search."""
    found = [or_(*_parts(want))]
    if want.q:
        found.append(one_of(Identity.id, contact_search.find(want.q, account_ids).values()))
    return found


def iter_identities(viewer: Viewer, want: IdentityFilter) -> Iterator[ListedIdentity]:
    """Yield every identity that matches, oldest contact first, however many there are."""
    found, last = _found(viewer, want).order_by(Identity.id).limit(CHUNK_ROWS), 0
    while rows := db.session.execute(found.where(Identity.id > last)).all():
        db.session.rollback()  # hold no snapshot while a slow client reads these rows
        yield from map(listed, rows)
        last = rows[-1].id


def get_identity(viewer: Viewer, identity_id: int) -> ListedIdentity:
    """Return one identity; raises NotFound, also for one the viewer may not see."""
    row = db.session.execute(_visible(viewer).where(Identity.id == identity_id)).first()
    if row is None:
        raise NotFound("identity")
    return listed(row)


def counts(viewer: Viewer, account_id: int | None = None) -> dict[NameState, int]:
    """Return the number of contacts in each state, each counted up to 10,001."""
    counted = {}
    for state in NameState:
        found = select_first(viewer, IdentityFilter(account_id=account_id, state=state), COUNTED + 1)
        counted[state] = db.session.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    return counted


def state_of(row: Any, *, known: bool) -> NameState:
    """Return the state of an identity row's name; a known contact whose last lookup failed is stale."""
    if not known:
        return NameState.UNKNOWN
    return NameState.KNOWN if is_fresh(row.last_success_at, row.last_error) else NameState.STALE


def in_progress(row: Any) -> bool:
    """Return whether a lookup of this identity runs, or is due at this moment."""
    now = clock.now()
    if row.claimed_until is not None and row.claimed_until > now:
        return True
    return row.next_try_at is not None and now - SOON <= row.next_try_at <= now


def listed(row: Any) -> ListedIdentity:
    """Return a row of the list as pages and API show it."""
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
    reason = None if shown.known and not row.last_error else _reason(row)
    return ListedIdentity(
        id=row.id,
        account_id=row.account_id,
        ig_account_id=row.ig_account_id,
        ig_participant_id=row.ig_participant_id,
        display=shown,
        avatar=display.avatar(
            row.ig_participant_id, shown, avatars.picture_url(row.ig_account_id, row.ig_participant_id, row.picture)
        ),
        state=state_of(row, known=shown.known),
        username=shown.username,
        name=shown.name,
        source=(row.username_source or row.name_source) if shown.known else None,
        last_success_at=row.last_success_at,
        last_failure_at=row.last_failure_at,
        failure_count=row.failure_count,
        reason=reason,
        sentence=describe(reason) if reason else None,
        next_try_at=row.next_try_at,
        in_progress=in_progress(row),
    )


def as_dict(one: ListedIdentity) -> dict[str, Any]:
    """Return an identity as API and command line show it."""
    return {
        "id": str(one.id),
        "accountId": one.ig_account_id,
        "participantPlatformId": one.ig_participant_id,
        "displayName": one.display.text,
        "username": one.username,
        "name": one.name,
        "identityState": one.state.value,
        "source": one.source,
        "lastSuccessAt": clock.rfc3339(one.last_success_at),
        "lastFailureAt": clock.rfc3339(one.last_failure_at),
        "failureCount": one.failure_count,
        "reason": one.reason,
        "explanation": one.sentence,
        "nextTryAt": clock.rfc3339(one.next_try_at),
    }


REASONS = (NEVER_TRIED, STOPPED, *(reason.value for reason in Reason))
_COLUMNS = (
    *(Identity.id, Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name),
    Identity.confusable_digits,
    *(Identity.username_source, Identity.name_source, Identity.last_success_at, Identity.last_failure_at),
    *(Identity.failure_count, Identity.last_error, Identity.next_try_at, Identity.claimed_until),
    Account.ig_account_id,
    StoredAvatar.version.label("picture"),
)
# Literals: a database uses an index with this condition only for a query that repeats it.
_STOPPED = and_(Identity.failure_count >= literal_column(str(STOP_AFTER)), Identity.next_try_at.is_(None))


def _visible(viewer: Viewer) -> Select[*tuple[Any, ...]]:
    found = select(*_COLUMNS).join(Account, Account.id == Identity.account_id)
    found = found.outerjoin(StoredAvatar, StoredAvatar.identity_id == Identity.id)
    found = found.where(Account.state != AccountState.DELETING)
    return viewer.visible(found, Identity.account_id)


def select_first(
    viewer: Viewer, want: IdentityFilter, most: int, matching: Contacts | None = None
) -> Select[*tuple[Any, ...]]:
    """Select the first `most` identities, of those `matching` a search if there is one: ID and `fresh_from`.

    Part by part, because an index holds the identities of one account and one condition in order.
    """
    accounts = viewer.visible(select(Account.id).where(Account.state != AccountState.DELETING), Account.id)
    if want.account_id is not None:
        accounts = accounts.where(Account.id == want.account_id)
    columns = select(Identity.id, FRESH_FROM.label("fresh_from"))
    if want.after is not None:
        columns = columns.where(_follows(want, want.after))
    columns = columns.order_by(*_order(want, FRESH_FROM, Identity.id)).limit(most)
    if matching is not None:  # by their IDs alone: no condition on the account, which has indexes too
        visible = frozenset(db.session.scalars(accounts))
        ids = [identity_id for (account_id, _), identity_id in matching.items() if account_id in visible]
        return columns.where(one_of(Identity.id, ids), or_(*_parts(want)))
    parts = [
        select(columns.where(Identity.account_id == account, part).subquery())
        for account in db.session.scalars(accounts)
        for part in _parts(want)
    ]
    every = union_all(*parts or [columns.where(false())]).subquery()
    order = _order(want, every.c.fresh_from, every.c.id)
    return select(every.c.id, every.c.fresh_from).order_by(*order).limit(most)


def _found(viewer: Viewer, want: IdentityFilter) -> Select[*tuple[Any, ...]]:
    found = _visible(viewer).where(*conditions(want, _account_ids(viewer, want)))
    return found if want.account_id is None else found.where(Identity.account_id == want.account_id)


def _parts(want: IdentityFilter) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of a filter, no two of which select the same identity. Each has an index."""
    if want.reason is None:
        return [true() if want.state is None else _is(want.state)]
    because = _because(want.reason)
    # Equations, not conditions: that is what makes SQLite use the index.
    stale, unknown = and_(because, Identity.has_name == true()), and_(because, Identity.has_name == false())
    of_state: dict[NameState | None, list[ColumnElement[bool]]] = {
        None: [stale, unknown],
        NameState.KNOWN: [false()],  # a name whose last lookup failed is stale
        NameState.STALE: [stale],
        NameState.UNKNOWN: [unknown],
    }
    return of_state[want.state]


def _is(state: NameState) -> ColumnElement[bool]:
    if state is NameState.UNKNOWN:
        return ~Identity.has_name
    fresh = clock.now() - FRESH < FRESH_FROM
    return and_(Identity.has_name, fresh if state is NameState.KNOWN else not_(fresh))


def _because(reason: str) -> ColumnElement[bool]:
    if reason == NEVER_TRIED:
        return and_(Identity.last_success_at.is_(None), Identity.last_failure_at.is_(None))
    return _STOPPED if reason == STOPPED else Identity.last_error == reason


def _order(want: IdentityFilter, fresh_from: Any, row_id: Any) -> Sequence[ColumnElement[Any]]:
    if want.reason is not None or want.state not in (NameState.KNOWN, NameState.STALE):
        return (row_id.desc(),)
    return (fresh_from, row_id) if want.state is NameState.STALE else (fresh_from.desc(), row_id.desc())


def _follows(want: IdentityFilter, after: Position) -> ColumnElement[bool]:
    here = tuple_(FRESH_FROM, Identity.id)
    if want.reason is not None or want.state not in (NameState.KNOWN, NameState.STALE):
        return Identity.id < after[1]
    return here > after if want.state is NameState.STALE else here < after


def _account_ids(viewer: Viewer, want: IdentityFilter) -> tuple[int, ...] | None:
    """Return the accounts to search; None for all."""
    if want.account_id is not None:
        return (want.account_id,)
    return None if viewer.account_ids is None else tuple(sorted(viewer.account_ids))


def _reason(row: Any) -> str:
    if row.failure_count >= STOP_AFTER and row.next_try_at is None:
        return STOPPED
    return str(row.last_error) if row.last_error else NEVER_TRIED
