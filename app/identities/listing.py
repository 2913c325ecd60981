"""The list of identities: who has a name, who has not and why; a keyset page, by filter and search."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from app import clock, text
from app.db.engine import db
from app.errors import Invalid, NotFound
from app.identities import avatars, display
from app.identities.display import Avatar, DisplayName
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH, is_fresh
from app.instagram.errors import Reason, describe
from app.models.identity import Identity, Source, StoredAvatar
from app.models.inbox import Account, AccountState
from app.viewer import Viewer

ROWS = 50
MOST_ROWS = 200
Q_CHARACTERS = 200
AT_ONCE = 500  # rows that an export holds in memory
SOON = timedelta(seconds=30)  # a lookup that is due for longer waits for something else
_NEVER = "never_tried"
NOT_YET = "We haven’t looked this person up yet"


class NameState(StrEnum):
    """How a person stands: with a name that is fresh or stale, or without one."""

    KNOWN = "known"
    STALE = "stale"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ListedIdentity:
    """A participant of one account. Times are aware UTC; `reason` is a key of `Reason`, "stopped" or "never_tried"."""

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
    """What of the list is asked for; `after` is the id that the page before ended with."""

    account_id: int | None = None
    state: NameState | None = None
    reason: str | None = None
    q: str = ""
    limit: int = ROWS
    after: int | None = None


@dataclass(frozen=True, slots=True)
class IdentityListPage:
    """One page of the list; `after` is where the next one begins, None on the last."""

    rows: tuple[ListedIdentity, ...]
    after: int | None


def parse_filter(
    *,
    account_id: int | None = None,
    state: str | None = None,
    reason: str | None = None,
    q: str = "",
    limit: int = ROWS,
    after: int | None = None,
) -> IdentityFilter:
    """Return what an address asks for; raises Invalid for what no address of ours says."""
    if state and state not in set(NameState):
        raise Invalid({"state": "The state should be known, stale or unknown."})
    if reason and reason not in REASONS:
        raise Invalid({"reason": f"The reason should be one of {', '.join(REASONS)}."})
    if len(q) > Q_CHARACTERS:
        raise Invalid({"q": f"A search should have at most {Q_CHARACTERS} characters."})
    if not 1 <= limit <= MOST_ROWS:
        raise Invalid({"limit": f"The limit should be a whole number from 1 to {MOST_ROWS}."})
    search = text.storable(q.strip())
    return IdentityFilter(account_id, NameState(state) if state else None, reason or None, search, limit, after)


def page(viewer: Viewer, want: IdentityFilter) -> IdentityListPage:
    """Return one page of the identities the viewer may see, those met last first."""
    found = _found(viewer, want)
    if want.after is not None:
        found = found.where(Identity.id < want.after)
    rows = db.session.execute(found.order_by(Identity.id.desc()).limit(want.limit + 1)).all()
    shown = rows[: want.limit]
    return IdentityListPage(tuple(map(listed, shown)), shown[-1].id if len(rows) > want.limit else None)


def iter_identities(viewer: Viewer, want: IdentityFilter) -> Iterator[ListedIdentity]:
    """Yield every identity that is wanted, oldest first, whatever their number."""
    found, last = _found(viewer, want).order_by(Identity.id).limit(AT_ONCE), 0
    while rows := db.session.execute(found.where(Identity.id > last)).all():
        db.session.rollback()  # no snapshot is held while a slow reader takes these
        yield from map(listed, rows)
        last = rows[-1].id


def get_identity(viewer: Viewer, identity_id: int) -> ListedIdentity:
    """Return one identity; raises NotFound, also for what the viewer may not see."""
    row = db.session.execute(_visible(viewer).where(Identity.id == identity_id)).first()
    if row is None:
        raise NotFound("identity")
    return listed(row)


def counts(viewer: Viewer, account_id: int | None = None) -> dict[NameState, int]:
    """Return how many people stand in each state."""
    counted = {}
    for state in NameState:
        found = _found(viewer, IdentityFilter(account_id=account_id, state=state))
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
    """Return a row of the list as people and programs see it."""
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.alike)
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
        sentence=_sentence(reason),
        next_try_at=row.next_try_at,
        in_progress=in_progress(row),
    )


REASONS = (_NEVER, "stopped", *(reason.value for reason in Reason))
_COLUMNS = (
    *(Identity.id, Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name),
    Identity.alike,
    *(Identity.username_source, Identity.name_source, Identity.last_success_at, Identity.last_failure_at),
    *(Identity.failure_count, Identity.last_error, Identity.next_try_at, Identity.claimed_until),
    Account.ig_account_id,
    StoredAvatar.version.label("picture"),
)
_STOPPED = and_(Identity.failure_count >= STOP_AFTER, Identity.next_try_at.is_(None))
_NAMED = or_(Identity.username.is_not(None), Identity.name.is_not(None))


def _visible(viewer: Viewer) -> Select[*tuple[Any, ...]]:
    same_face = and_(
        StoredAvatar.account_id == Identity.account_id, StoredAvatar.ig_participant_id == Identity.ig_participant_id
    )
    found = select(*_COLUMNS).join(Account, Account.id == Identity.account_id).outerjoin(StoredAvatar, same_face)
    found = found.where(Account.state != AccountState.DELETING)
    return found if viewer.account_ids is None else found.where(Identity.account_id.in_(viewer.account_ids))


def _found(viewer: Viewer, want: IdentityFilter) -> Select[*tuple[Any, ...]]:
    found = _visible(viewer)
    if want.account_id is not None:
        found = found.where(Identity.account_id == want.account_id)
    if want.state is not None:
        found = found.where(_is(want.state))
    if want.reason is not None:
        found = found.where(_because(want.reason))
    return found.where(_matches(want.q)) if want.q else found


def _is(state: NameState) -> ColumnElement[bool]:
    if state is NameState.UNKNOWN:
        return ~_NAMED
    fresh_since: timedelta = FRESH
    fresh = and_(Identity.last_success_at > clock.now() - fresh_since, Identity.last_error.is_(None))
    return and_(_NAMED, fresh if state is NameState.KNOWN else or_(Identity.last_success_at.is_(None), ~fresh))


def _because(reason: str) -> ColumnElement[bool]:
    if reason == _NEVER:
        return and_(Identity.last_success_at.is_(None), Identity.last_failure_at.is_(None))
    return _STOPPED if reason == "stopped" else Identity.last_error == reason


def _matches(q: str) -> ColumnElement[bool]:
    words = q.lower().removeprefix("@").removeprefix("user_")
    return or_(
        func.lower(Identity.username).contains(words, autoescape=True),
        func.lower(Identity.name).contains(words, autoescape=True),
        Identity.ig_participant_id.startswith(words, autoescape=True),
        Identity.ig_participant_id.endswith(words, autoescape=True),
    )


def _reason(row: Any) -> str:
    if row.failure_count >= STOP_AFTER and row.next_try_at is None:
        return "stopped"
    return str(row.last_error) if row.last_error else _NEVER


def _sentence(reason: str | None) -> str | None:
    if reason is None:
        return None
    if reason == "stopped":
        return "Five tries in a row failed, and automatic tries have stopped"
    return NOT_YET if reason == _NEVER else describe(reason)
