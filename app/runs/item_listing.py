"""The contacts of a job: result, calls and seconds of each, in keyset pages for pages, API, commands and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from app import audit, clock
from app.db.engine import db
from app.db.paging import fetch_page
from app.db.types import member
from app.errors import Invalid
from app.identities import avatars, contact_search, display
from app.identities.display import Avatar, DisplayName
from app.identities.export import BYTE_ORDER_MARK, csv_line
from app.identities.reasons import describe
from app.models.account import Account
from app.models.audit import Action
from app.models.identity import Identity, StoredAvatar, UsernameHistory
from app.models.run import DELETED_CONTACT, ItemState, LossCause, Run, RunItem
from app.runs import kinds, lifecycle, retries, sync_words
from app.runs.failures import REASONS
from app.text import SEARCH_CHARACTERS, storable
from app.viewer import Role, Viewer

ITEM_ROWS = 50
CSV_ROWS = 500  # of a CSV file, which is written while it is read
DELETED_NAME = DisplayName("A deleted contact", None, None, known=True)
CSV_FIELDS = (
    *("participantPlatformId", "displayName", "previousName", "state", "reason", "explanation", "code"),
    *("tries", "calls", "seconds", "settledAt", "newMessages", "notGiven"),
)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which contacts of a job to list, after position `after`."""

    state: ItemState | None = None
    reason: str | None = None
    q: str = ""
    limit: int = ITEM_ROWS
    after: int = 0


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One contact of a job; `reason` and `code` say why it was not resolved. Times are aware UTC.

    `ig_participant_id` and `identity_id` are None for a contact that was deleted. `previous_name` is how the contact
    was shown before the job changed its name, else None.
    """

    ig_participant_id: str | None
    identity_id: int | None
    display: DisplayName
    avatar: Avatar
    previous_name: str | None
    state: ItemState
    reason: str | None
    sentence: str | None
    code: str | None
    tries: int
    calls: int
    seconds: float
    settled_at: datetime | None
    next_try_at: datetime | None
    found: int
    lost: Mapping[str, int]

    @property
    def not_given(self) -> str:
        """The messages that a sync could not fetch, by cause."""
        return sync_words.losses(self.lost)


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """The number of contacts with one reason, and whether a retry can help them."""

    state: ItemState
    reason: str
    contacts: int
    can_retry: bool

    @property
    def sentence(self) -> str:
        """The reason as a sentence, without its period."""
        return describe(self.reason)


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """The contacts of a job by state, which add up to `total`, and by reason. `purged`: only the counts are left."""

    total: int
    by_state: Mapping[ItemState, int]
    by_reason: tuple[ReasonCount, ...]
    purged: bool

    @property
    def retryable(self) -> int:
        """The number of failed contacts that a retry can help."""
        return sum(each.contacts for each in self.by_reason if each.can_retry)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One page of a job's contacts; `after` continues with the next page, None on the last one."""

    rows: tuple[ListedItem, ...]
    after: int | None


def parse_filter(
    *, state: str | None = None, reason: str | None = None, q: str = "", limit: int = ITEM_ROWS, after: int = 0
) -> ItemFilter:
    """Return the filter that query parameters ask for; raises Invalid with a text per wrong parameter."""
    if state and state not in set(ItemState):
        raise Invalid({"state": f"The state must be one of {', '.join(ItemState)}."})
    if reason and reason not in REASONS:
        raise Invalid({"reason": f"The reason must be one of {', '.join(REASONS)}."})
    if len(q) > SEARCH_CHARACTERS:
        raise Invalid({"q": f"A search term can have at most {SEARCH_CHARACTERS} characters."})
    return ItemFilter(ItemState(state) if state else None, reason or None, storable(q.strip()), limit, after)


def list_items(viewer: Viewer, run_id: str, want: ItemFilter) -> ItemPage:
    """Return one page of a job's contacts, in the order of their lookups; raises NotFound."""
    run = lifecycle.require_run(viewer, run_id)
    found = _found(run, want).where(RunItem.position > want.after).order_by(RunItem.position)
    rows, last = fetch_page(found, want.limit)
    return ItemPage(tuple(_listed(run, rows)), last.position if last else None)


def iter_items(viewer: Viewer, run_id: str, want: ItemFilter) -> Iterator[ListedItem]:
    """Yield every contact of a job that matches, however many there are; raises NotFound."""
    for page in _pages(viewer, run_id, want):
        yield from page.rows


def count_items(viewer: Viewer, run_id: str) -> ItemCounts:
    """Return the number of a job's contacts by state and by reason; raises NotFound."""
    run = lifecycle.require_run(viewer, run_id)
    # The total of a sync is an estimate: it has an item for each conversation that it has read.
    total = run.resolved + run.fresh if kinds.syncs(run.kind) else run.total
    by_state = {
        ItemState.PENDING: total - run.resolved - run.fresh - run.failed - run.skipped,
        ItemState.RESOLVED: run.resolved,
        ItemState.FRESH: run.fresh,
        ItemState.FAILED: run.failed,
        ItemState.SKIPPED: run.skipped,
    }
    counted = count_reasons(run_id) if run.kept_counts is None else run.kept_counts
    purged = run.kept_counts is not None
    reasons = [_reason_count(each, purged=purged) for each in counted]
    reasons = [each for each in reasons if each.state in (ItemState.FAILED, ItemState.SKIPPED)]
    reasons.sort(key=lambda each: (each.state, -each.contacts))
    return ItemCounts(total, by_state, tuple(reasons), purged)


def count_reasons(run_id: str) -> list[dict[str, Any]]:
    """Return the number of a job's contacts by state and reason, from the index alone, as JSON."""
    counted = select(RunItem.state, RunItem.reason, func.count().label("contacts"))
    counted = counted.where(RunItem.run_id == run_id, RunItem.reason.is_not(None))
    rows = db.session.execute(counted.group_by(RunItem.reason, RunItem.state))
    return [{"state": row.state.value, "reason": row.reason, "contacts": row.contacts} for row in rows]


def csv_lines(viewer: Viewer, run_id: str, want: ItemFilter) -> Iterator[str]:
    """Return the contacts of a job as CSV, in chunks of whole lines, for ops; rows are read while the caller iterates.

    Raises Forbidden and NotFound before any row is read.
    """
    viewer.require(Role.OPS)
    lifecycle.require_run(viewer, run_id)
    audit.record(viewer, Action.IDENTITIES_EXPORTED, f"job {run_id}")
    return _csv_chunks(viewer, run_id, want)


def as_dict(item: ListedItem) -> dict[str, Any]:
    """Return an item as JSON of the API and of commands."""
    return {
        "participantPlatformId": item.ig_participant_id,
        "displayName": item.display.text,
        "previousName": item.previous_name,
        "state": item.state.value,
        "reason": item.reason,
        "code": item.code,
        "tries": item.tries,
        "calls": item.calls,
        "seconds": round(item.seconds, 3),
        "settledAt": clock.rfc3339(item.settled_at),
        "nextTryAt": clock.rfc3339(item.next_try_at),
        "newMessages": item.found,
        "notGiven": LossCause.counts(item.lost),
    }


def _found(run: Run, want: ItemFilter) -> Select[*tuple[Any, ...]]:
    found = select(
        *(RunItem.ig_participant_id, RunItem.position, RunItem.state, RunItem.reason, RunItem.code),
        *(RunItem.tries, RunItem.calls, RunItem.seconds, RunItem.settled_at, RunItem.next_try_at),
        *(RunItem.found, RunItem.lost),
        *(Identity.id.label("identity_id"), Identity.username, Identity.name, Identity.confusable_digits),
        *(Account.ig_account_id, StoredAvatar.version.label("picture")),
    )
    of_item = Identity.is_contact(run.account_id, RunItem.ig_participant_id)
    found = found.select_from(RunItem).join(Account, Account.id == run.account_id).outerjoin(Identity, of_item)
    found = found.outerjoin(StoredAvatar, StoredAvatar.identity_id == Identity.id).where(RunItem.run_id == run.id)
    if want.state is not None:
        found = found.where(RunItem.state == want.state)
    if want.reason is not None:
        found = found.where(RunItem.reason == want.reason)
    if want.q:
        matching = contact_search.find(want.q, (run.account_id,))
        found = found.where(RunItem.ig_participant_id.in_([contact for _, contact in matching]))
    return found


def _listed(run: Run, rows: Sequence[Any]) -> Iterator[ListedItem]:
    before = _usernames_before(run, rows)
    for row in rows:
        shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
        deleted = row.ig_participant_id.startswith(DELETED_CONTACT)
        picture = avatars.picture_url(row.ig_account_id, row.ig_participant_id, row.picture)
        yield ListedItem(
            ig_participant_id=None if deleted else row.ig_participant_id,
            identity_id=row.identity_id,
            display=DELETED_NAME if deleted else shown,
            avatar=display.avatar(row.ig_participant_id, shown, picture),
            previous_name=_previous_name(run, row, shown, before.get(row.identity_id)),
            state=row.state,
            reason=row.reason,
            sentence=describe(row.reason) if row.reason else None,
            code=row.code,
            tries=row.tries,
            calls=row.calls,
            seconds=row.seconds,
            settled_at=row.settled_at,
            next_try_at=row.next_try_at,
            found=row.found,
            lost=row.lost or {},
        )


def _usernames_before(run: Run, rows: Sequence[Any]) -> dict[int, str]:
    """Return, by identity, the username before a change that the job made."""
    resolved = {row.identity_id: row.settled_at for row in rows if row.state is ItemState.RESOLVED}
    if not resolved:
        return {}
    changes = select(UsernameHistory.identity_id, UsernameHistory.old_username, UsernameHistory.at)
    changes = changes.where(UsernameHistory.identity_id.in_(resolved), UsernameHistory.at >= run.created_at)
    found: dict[int, str] = {}
    for change in db.session.execute(changes.order_by(UsernameHistory.at)):
        if change.at <= resolved[change.identity_id]:
            found.setdefault(change.identity_id, change.old_username)
    return found


def _previous_name(run: Run, row: Any, shown: DisplayName, username: str | None) -> str | None:
    if row.state is not ItemState.RESOLVED or not shown.known or row.identity_id is None:
        return None
    before = display.display_name(row.ig_participant_id, username, None)
    rules = kinds.RULES.get(run.kind)  # None for a kind of a newer release
    changed = username is not None or (rules is not None and rules.of_unknown)
    return before.text if changed and before.text != shown.text else None


def _reason_count(counted: Mapping[str, Any], *, purged: bool) -> ReasonCount:
    state, reason = member(ItemState, counted["state"]), counted["reason"]
    can_retry = state is ItemState.FAILED and not purged and retries.can_retry(reason)
    return ReasonCount(state, reason, counted["contacts"], can_retry)


def _pages(viewer: Viewer, run_id: str, want: ItemFilter) -> Iterator[ItemPage]:
    after: int | None = 0
    while after is not None:
        page = list_items(viewer, run_id, ItemFilter(want.state, want.reason, want.q, CSV_ROWS, after))
        db.session.rollback()  # hold no snapshot while a slow client reads these rows
        yield page
        after = page.after


def _csv_chunks(viewer: Viewer, run_id: str, want: ItemFilter) -> Iterator[str]:
    yield BYTE_ORDER_MARK + csv_line(CSV_FIELDS)
    for page in _pages(viewer, run_id, want):
        yield "".join(csv_line(_csv_values(each)) for each in page.rows)


def _csv_values(item: ListedItem) -> tuple[str | float | None, ...]:
    return (
        *(item.ig_participant_id, item.display.text, item.previous_name, item.state.value, item.reason),
        *(item.sentence, item.code, item.tries, item.calls, round(item.seconds, 3), clock.rfc3339(item.settled_at)),
        *(item.found, item.not_given),
    )
