"""The conversation list: a keyset page of rows, newest first, with filters and counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, func, literal_column, not_, select, tuple_, union
from sqlalchemy.orm import InstrumentedAttribute

from app import read_state, text
from app.db.engine import db
from app.db.paging import fetch_page, make_cursor, parse_cursor
from app.errors import Invalid
from app.identities import avatars, display
from app.identities.display import Avatar, DisplayName
from app.inbox import search
from app.instagram.previews import preview
from app.models.account import Account
from app.models.conversation import Conversation, UnreadByUser
from app.models.identity import Identity, StoredAvatar
from app.viewer import S, Viewer

# Filters of the list and of the API, by the name that URLs carry. In the API, unread means that nobody has read it; in
# the list also what only others have read.
# Both databases use their partial indexes only for the same expression without a parameter.
FILTERED: dict[str, ColumnElement[bool]] = {
    "unread": Conversation.unread_count > literal_column("0"),
    "unknown": not_(Conversation.known),
}
FILTERS = ("all", *FILTERED)
ROWS = 40
MOST_ROWS = 300  # that a poll renders again
COUNTED = 100  # more is shown as 99+
Rows = Select[*tuple[Any, ...]]
_SORT_KEY = tuple_(Conversation.last_message_at, Conversation.id)
_NEWEST_FIRST = (Conversation.last_message_at.desc(), Conversation.id.desc())


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One conversation in the list; `kind` is that of the last message, `preview` its text or its kind in words.

    `reaction` is the contact's to a message of the account, None if a message came after it. The viewer has read the
    first `read_through` of `arrivals` messages; nobody has read the conversation's newest ones if `unread_by_all`.
    """

    id: int
    display: DisplayName
    avatar: Avatar
    last_message_at: datetime
    kind: str
    preview: str
    outgoing: bool
    reaction: str | None
    unread_count: int
    unread_by_all: bool
    arrivals: int
    read_through: int
    selected: bool


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list: rows, their filter and search, and `older`, the URL of the next page.

    `query` names account, filter and search in URLs of the inbox.
    """

    rows: tuple[ConversationRow, ...]
    filter: str
    q: str
    limit: int
    unread_count: int
    unknown_count: int
    older: str | None
    ig_account_id: str
    query: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of the viewer's unread conversations and of unknown contacts; 100 means "more than 99"."""

    unread: int
    unknown: int


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations to list: the first `limit` rows, or one page `after` a cursor."""

    filter: str = "all"
    q: str = ""
    limit: int = ROWS
    after: tuple[datetime, int] | None = None


def parse_filter(
    *, filter_: str = "all", q: str = "", limit: int | None = None, after: str | None = None
) -> ConversationFilter:
    """Return the filter that query parameters ask for; raises Invalid with a text per wrong parameter."""
    if filter_ not in FILTERS:
        raise Invalid({"filter": f"The filter must be one of {', '.join(FILTERS)}."})
    if len(q) > text.SEARCH_CHARACTERS:
        raise Invalid({"q": f"A search term can have at most {text.SEARCH_CHARACTERS} characters."})
    limit = ROWS if limit is None else limit
    if limit < 1:
        raise Invalid({"limit": "The limit must be a whole number from 1."})
    return ConversationFilter(
        filter_, text.storable(q.strip()), min(limit, MOST_ROWS), parse_cursor(after) if after else None
    )


def page(
    viewer: Viewer, account_id: int, want: ConversationFilter, *, ig_account_id: str, selected: int | None = None
) -> ListPage:
    """Return one page of an account's conversations, newest first; `selected` is the open one.

    The open one stays in a filtered list, although reading it removes it from the filter. The page's `limit` counts
    all rows loaded so far. An account that the viewer may not see has no rows.
    """
    most = ROWS if want.after else want.limit
    shown, older = fetch_page(_rows(viewer, account_id, want), most)
    counted = counts(viewer, account_id)
    if selected is not None and want.filter in FILTERED and all(row.id != selected for row in shown):
        shown = _with_selected(shown, older, viewer, account_id, want, selected)
    loaded = min(want.limit + ROWS, MOST_ROWS) if want.after else want.limit
    return ListPage(
        rows=tuple(_row(row, selected) for row in shown),
        filter=want.filter,
        q=want.q,
        limit=loaded,
        unread_count=counted.unread,
        unknown_count=counted.unknown,
        older=_older(want, older, ig_account_id, loaded) if older else None,
        ig_account_id=ig_account_id,
        query=query_string(want, ig_account_id),
    )


def query_string(want: ConversationFilter, ig_account_id: str, **more: object) -> str:
    """Return the query string of this account, filter and search, with `more` parameters; "" for none."""
    filter_ = want.filter if want.filter in FILTERED else ""
    named = {"account": ig_account_id, "filter": filter_, "q": want.q, **more}
    given = urlencode({name: value for name, value in named.items() if value})
    return f"?{given}" if given else ""


def counts(viewer: Viewer, account_id: int) -> Counts:
    """Return the numbers of the viewer's unread conversations and of unknown contacts, each counted up to 100."""
    of_account = select(Conversation.id).where(Conversation.account_id == account_id).limit(COUNTED)
    by_all, unknown = (of_account.where(FILTERED[name]) for name in ("unread", "unknown"))
    by_viewer = select(Conversation.id).join(UnreadByUser, read_state.is_own(viewer)).limit(COUNTED)
    by_viewer = by_viewer.where(UnreadByUser.account_id == account_id, not_(FILTERED["unread"]))
    counted = (select(func.count()).select_from(found.subquery()) for found in (by_all, by_viewer, unknown))
    row = db.session.execute(select(*(each.scalar_subquery() for each in counted))).one()
    return Counts(min(row[0] + row[1], COUNTED), row[2])


def _rows(viewer: Viewer, account_id: int, want: ConversationFilter) -> Rows:
    same_contact = and_(
        Identity.account_id == Conversation.account_id, Identity.ig_participant_id == Conversation.ig_participant_id
    )
    found = (
        select(
            Conversation.id,
            Conversation.ig_participant_id,
            Conversation.last_message_at,
            Conversation.last_message_kind,
            Conversation.last_message_preview,
            Conversation.last_message_outgoing,
            Conversation.last_reaction,
            Conversation.last_reaction_at,
            Conversation.arrival_count,
            read_state.UNREAD_COUNT,
            read_state.UNREAD_BY_ALL,
            read_state.READ_THROUGH,
            Identity.username,
            Identity.name,
            Identity.confusable_digits,
            StoredAvatar.version.label("picture"),
            Account.ig_account_id,
        )
        .join(Account, Account.id == Conversation.account_id)
        .outerjoin(Identity, same_contact)
        .outerjoin(StoredAvatar, StoredAvatar.identity_id == Identity.id)
        .outerjoin(UnreadByUser, read_state.is_own(viewer))
        .order_by(*_NEWEST_FIRST)
    )
    if want.filter == "unread" and not want.q:
        return found.where(Conversation.id.in_(_newest_unread(viewer, account_id, want)))
    found = _of_account(found, Conversation.account_id, viewer, account_id, want)
    if want.filter == "unread":
        found = found.where(read_state.UNREAD_COUNT > 0)
    elif want.filter in FILTERED:
        found = found.where(FILTERED[want.filter])
    if want.q:
        found = found.where(search.matching_conversations(want.q, (account_id,)))
    return found


def _of_account(
    found: S, column: InstrumentedAttribute[int], viewer: Viewer, account_id: int, want: ConversationFilter
) -> S:
    found = viewer.visible(found.where(column == account_id), column)
    return found.where(want.after > _SORT_KEY) if want.after else found


def _newest_unread(viewer: Viewer, account_id: int, want: ConversationFilter) -> CompoundSelect[Any]:
    """Return the IDs of the viewer's newest unread conversations: of those nobody has read, and those others have read.

    Two queries with an index each. The condition "unread for all or for me" would read the account's conversations, and
    so would SQLite if the second query named `conversations.account_id`.
    """
    by_all = select(Conversation.id).where(FILTERED["unread"])
    by_viewer = select(Conversation.id).join(UnreadByUser, read_state.is_own(viewer))
    both = ((by_all, Conversation.account_id), (by_viewer, UnreadByUser.account_id))
    newest = (_of_account(found, at, viewer, account_id, want).order_by(*_NEWEST_FIRST) for found, at in both)
    return union(*(select(each.limit(max(want.limit, ROWS) + 1).subquery().c.id) for each in newest))


def _with_selected(
    shown: Sequence[Any], older: Any, viewer: Viewer, account_id: int, want: ConversationFilter, selected: int
) -> Sequence[Any]:
    """Return `shown` with the selected row inserted in order; rows from `older` on belong to the next page."""
    found = _rows(viewer, account_id, replace(want, filter="all")).where(Conversation.id == selected)
    row = db.session.execute(found).first()
    if row is None or (older and _sort_key(row) < _sort_key(older)):
        return shown
    return sorted([*shown, row], key=_sort_key, reverse=True)


def _sort_key(row: Any) -> tuple[datetime, int]:
    return row.last_message_at, row.id


def _row(row: Any, selected: int | None) -> ConversationRow:
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
    return ConversationRow(
        id=row.id,
        display=shown,
        avatar=display.avatar(row.ig_participant_id, shown, _picture(row)),
        last_message_at=row.last_message_at,
        kind=row.last_message_kind,
        preview=preview(row.last_message_kind, row.last_message_preview, outgoing=row.last_message_outgoing),
        outgoing=row.last_message_outgoing,
        reaction=row.last_reaction if row.last_reaction and row.last_reaction_at >= row.last_message_at else None,
        unread_count=row.unread_count,
        unread_by_all=row.unread_by_all > 0,
        arrivals=row.arrival_count,
        read_through=row.read_through,
        selected=row.id == selected,
    )


def _picture(row: Any) -> str | None:
    return avatars.picture_url(row.ig_account_id, row.ig_participant_id, row.picture)


def _older(want: ConversationFilter, last: Any, ig_account_id: str, loaded: int) -> str:
    return "/inbox" + query_string(want, ig_account_id, limit=loaded, after=make_cursor(last.last_message_at, last.id))
