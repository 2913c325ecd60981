"""The conversation list: a keyset page of rows with filters and counts, newest first unless a reply is needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    SQLColumnExpression,
    bindparam,
    func,
    literal_column,
    not_,
    select,
    tuple_,
    union,
)

from app import clock, gaps, read_state, reply_state, text
from app.db.engine import db
from app.db.membership import one_of
from app.db.paging import fetch_page_of, make_cursor, parse_cursor
from app.errors import Invalid
from app.gaps import ListedGap
from app.identities import avatars, display
from app.identities.contact_search import Formerly
from app.identities.display import Avatar, DisplayName
from app.inbox import reply_order, search, search_query, snippets
from app.inbox.reply_order import Position
from app.inbox.search import Found
from app.inbox.search_query import Query
from app.inbox.snippets import TextPart
from app.instagram.previews import preview
from app.models.account import Account
from app.models.contact import same_contact
from app.models.conversation import Conversation, Message, UnreadByUser
from app.models.identity import Identity, StoredAvatar
from app.viewer import S, Viewer, VisibleAccount

# Filters of the list and of the API, by the name that URLs carry. In the API, unread means that nobody has read it; in
# the list also what only others have read.
# Both databases use their partial indexes only for the same expression without a parameter.
FILTERED: dict[str, ColumnElement[bool]] = {
    "unread": Conversation.unread_count > literal_column("0"),
    "unknown": not_(Conversation.known),
    "needs_reply": reply_state.NEEDS_REPLY,
}
FILTERS = ("all", *FILTERED)
ROWS = 40
MOST_ROWS = 300  # that a poll renders again
COUNTED = 100  # more is shown as 99+
NAMED_ACCOUNTS = 20  # in the completion of a search
Rows = Select[*tuple[Any, ...]]
_SORT_KEY = tuple_(Conversation.last_message_at, Conversation.id)
_NEWEST_FIRST = (Conversation.last_message_at.desc(), Conversation.id.desc())


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One conversation in the list; `kind` is that of the last message, `preview` its text or its kind in words.

    `reaction` is the contact's to a message of the account, None if a message came after it. `automatic`: another app
    sent the last message. The viewer has read the first `read_through` of `arrivals` messages; nobody has read the
    conversation's newest ones if `unread_by_all`. `window_ends_at` (aware UTC) is set while it needs a reply. Of a
    conversation found by a message, `kind`, `preview`, `outgoing` and `automatic` are that message's, and `found` is
    its ID. `marked` is the preview, and `marked_name` and `marked_second` the names, in parts; None where nothing was
    searched or found in them.
    """

    id: int
    display: DisplayName
    avatar: Avatar
    last_message_at: datetime
    kind: str
    preview: str
    outgoing: bool
    automatic: bool
    reaction: str | None
    unread_count: int
    unread_by_all: bool
    arrivals: int
    read_through: int
    window_ends_at: datetime | None
    selected: bool
    found: int | None = None
    marked: tuple[TextPart, ...] | None = None
    marked_name: tuple[TextPart, ...] | None = None
    marked_second: tuple[TextPart, ...] | None = None
    formerly: Formerly | None = None

    @property
    def human_window_ends_at(self) -> datetime | None:
        """Until when a user may reply in Instagram, although the 24-hour window is closed."""
        return self.window_ends_at and self.window_ends_at - reply_state.WINDOW + reply_state.HUMAN_WINDOW


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list: rows, their filter and search, and `older`, the URL of the next page.

    `query` names account, filter and search in URLs of the inbox. `notices` say which operators are searched as words.
    `gaps` are the reports of gaps that no user has dismissed.
    `without` is the part of a search that found nothing, without which something is found, and `widened` the URL then.
    """

    rows: tuple[ConversationRow, ...]
    filter: str
    q: str
    limit: int
    older: str | None
    ig_account_id: str
    query: str
    notices: tuple[str, ...] = ()
    gaps: tuple[ListedGap, ...] = ()
    without: str | None = None
    widened: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of the viewer's unread conversations, unknown contacts and needed replies; 100: "more than 99"."""

    unread: int
    unknown: int
    needs_reply: int


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations to list: the first `limit` rows, or one page `after` a cursor.

    Dates of the search `q` are days of the time zone `zone`.
    """

    filter: str = "all"
    q: str = ""
    limit: int = ROWS
    after: tuple[datetime, int] | Position | None = None
    zone: tzinfo = UTC

    @property
    def is_by_window(self) -> bool:
        """Whether the list is in the order in which contacts need a reply."""
        return self.filter == "needs_reply"


def parse_filter(
    *, filter_: str = "all", q: str = "", limit: int | None = None, after: str | None = None, zone: tzinfo = UTC
) -> ConversationFilter:
    """Return the filter that query parameters ask for; raises Invalid with a text per wrong parameter."""
    if filter_ not in FILTERS:
        raise Invalid({"filter": f"The filter must be one of {', '.join(FILTERS)}."})
    if len(q) > text.SEARCH_CHARACTERS:
        raise Invalid({"q": f"A search term can have at most {text.SEARCH_CHARACTERS} characters."})
    limit = ROWS if limit is None else limit
    if limit < 1:
        raise Invalid({"limit": "The limit must be a whole number from 1."})
    want = ConversationFilter(filter_, text.storable(q.strip()), min(limit, MOST_ROWS), zone=zone)
    parse = reply_order.parse_cursor if want.is_by_window else parse_cursor
    return replace(want, after=parse(after)) if after else want


def page(
    viewer: Viewer, account_id: int, want: ConversationFilter, *, ig_account_id: str, selected: int | None = None
) -> ListPage:
    """Return one page of an account's conversations in the order of the filter; `selected` is the open one.

    The open one stays in a filtered list, although reading it removes it from the filter; an answered one does not stay
    among those that need a reply. The page's `limit` counts all rows loaded so far. An account that the viewer may not
    see has no rows. A search with in: lists the account that it names instead.
    """
    most, now = ROWS if want.after else want.limit, clock.now()
    found = _search(viewer, account_id, want)
    shown, older = fetch_page_of(_in_order(_rows(viewer, account_id, want, found), want, now), most)
    without = _without(viewer, account_id, want, found) if not shown and not want.after else None
    stays = want.filter in FILTERED and not want.is_by_window
    if selected is not None and stays and all(row.id != selected for row in shown):
        shown = _with_selected(shown, older, viewer, account_id, want, found, selected)
    loaded = min(want.limit + ROWS, MOST_ROWS) if want.after else want.limit
    texts = _texts(found, [row.id for row in shown])
    return ListPage(
        rows=tuple(_found_row(row, _row(row, selected), found, texts.get(row.id)) for row in shown),
        filter=want.filter,
        q=want.q,
        limit=loaded,
        older=_older(want, _cursor(want, older, now), ig_account_id, loaded) if older else None,
        ig_account_id=ig_account_id,
        query=query_string(want, ig_account_id),
        notices=found.query.notices,
        gaps=() if want.q or want.after else tuple(gaps.reports(viewer, account_id)),
        without=without[0] if without else None,
        widened="/inbox" + query_string(replace(want, q=without[1]), ig_account_id) if without else "",
    )


def suggestions(accounts: Iterable[VisibleAccount]) -> list[str]:
    """Return the search operators and their values, for completion, with the names of these accounts."""
    return search_query.suggestions(FILTERED, [each.name for each in islice(accounts, NAMED_ACCOUNTS)])


def names_account(want: ConversationFilter) -> bool:
    """Return whether a search names the account to list, which may be another one than the selected one."""
    return _query(want).names_account


def query_string(want: ConversationFilter, ig_account_id: str, **more: object) -> str:
    """Return the query string of this account, filter and search, with `more` parameters; "" for none."""
    filter_ = want.filter if want.filter in FILTERED else ""
    named = {"account": ig_account_id, "filter": filter_, "q": want.q, **more}
    given = urlencode({name: value for name, value in named.items() if value})
    return f"?{given}" if given else ""


def counts(viewer: Viewer, account_id: int) -> Counts:
    """Return the numbers of the viewer's unread conversations, unknown contacts and needed replies, up to 100 each."""
    values = {"account_id": account_id, "user_id": viewer.user_id, "most": COUNTED}
    row = db.session.execute(_count(), values).one()
    return Counts(min(row[0] + row[1], COUNTED), row[2], row[3])


@lru_cache(maxsize=1)
def _count() -> Select[Any]:
    """Return the statement of `counts`, built once: building it takes longer than executing it."""
    account_id: Any = bindparam("account_id")
    most: Any = bindparam("most")
    of_account = select(Conversation.id).where(Conversation.account_id == account_id).limit(most)
    # Sorted along their partial index, so that PostgreSQL stops at the limit instead of reading the whole index first.
    sorted_by = {"unread": _NEWEST_FIRST[0], "unknown": _NEWEST_FIRST[0], "needs_reply": Conversation.needs_reply_since}
    by_all, unknown, needs_reply = (of_account.where(FILTERED[name]).order_by(at) for name, at in sorted_by.items())
    by_viewer = select(Conversation.id).join(UnreadByUser, read_state.is_of_user(bindparam("user_id"))).limit(most)
    by_viewer = by_viewer.where(UnreadByUser.account_id == account_id, not_(FILTERED["unread"]))
    found = (by_all, by_viewer, unknown, needs_reply)
    counted = (select(func.count()).select_from(each.subquery()) for each in found)
    return select(*(each.scalar_subquery() for each in counted))


def _search(viewer: Viewer, account_id: int, want: ConversationFilter) -> Found:
    if not want.q or not viewer.sees(account_id):
        return search.NOTHING_SEARCHED
    # As the filters of the list: `_rows` joins the viewer's own unread messages.
    filters = {**FILTERED, "unread": read_state.UNREAD_COUNT > 0}
    query = _query(want)
    account_ids = viewer.account_ids if query.names_account else (account_id,)
    return search.find(query, account_ids, filters=filters, zone=want.zone)


def _query(want: ConversationFilter) -> Query:
    return search_query.parse(want.q, filters=FILTERED)


def _without(viewer: Viewer, account_id: int, want: ConversationFilter, found: Found) -> tuple[str, str] | None:
    """Return the part of a search without which it finds something, and the search without it."""

    def finds(q: str) -> bool:
        less = replace(want, q=q)
        rows = _rows(viewer, account_id, less, _search(viewer, account_id, less))
        return db.session.execute(rows.limit(1)).first() is not None

    return search.without_clause(found.query, finds)


def _texts(found: Found, shown: Sequence[int]) -> dict[int, Any]:
    """Return the messages by which the shown conversations were found, by conversation."""
    ids = [found.messages[each] for each in shown if each in found.messages]
    if not ids:
        return {}
    columns = (Message.conversation_id, Message.id, Message.kind, Message.text, Message.outgoing, Message.app_id)
    return {row.conversation_id: row for row in db.session.execute(select(*columns).where(one_of(Message.id, ids)))}


def _found_row(row: Any, listed: ConversationRow, found: Found, message: Any | None) -> ConversationRow:
    if found is search.NOTHING_SEARCHED:
        return listed
    if message is not None:
        shown = preview(message.kind, message.text, outgoing=message.outgoing)
        return replace(
            listed,
            kind=message.kind,
            preview=shown,
            outgoing=message.outgoing,
            automatic=reply_state.is_automatic(message.app_id),
            reaction=None,
            found=message.id,
            marked=snippets.around(shown, found.pieces) if message.text else None,
        )
    return replace(
        listed,
        marked_name=snippets.marked_name(listed.display.text, found.pieces),
        marked_second=snippets.marked_name(listed.display.second, found.pieces),
        formerly=found.formerly.get((row.account_id, row.ig_participant_id)),
    )


def _rows(viewer: Viewer, account_id: int, want: ConversationFilter, searched: Found) -> Rows:
    found = (
        select(
            Conversation.id,
            Conversation.ig_participant_id,
            Conversation.last_message_at,
            Conversation.last_message_kind,
            Conversation.last_message_preview,
            Conversation.last_message_outgoing,
            Conversation.last_message_automatic,
            Conversation.last_incoming_at,
            Conversation.needs_reply_since,
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
            Conversation.account_id,
        )
        .join(Account, Account.id == Conversation.account_id)
        .outerjoin(Identity, same_contact(Identity, Conversation))
        .outerjoin(StoredAvatar, StoredAvatar.identity_id == Identity.id)
        .outerjoin(UnreadByUser, read_state.is_own(viewer))
    )
    if want.filter == "unread" and not want.q:
        return found.where(Conversation.id.in_(_newest_unread(viewer, account_id, want)))
    own = None if searched.query.names_account else account_id
    found = _of_account(found, searched.account_id, viewer, own, want)
    if want.filter == "unread":
        found = found.where(read_state.UNREAD_COUNT > 0)
    elif want.filter in FILTERED:
        found = found.where(FILTERED[want.filter])
    if searched.condition is not None:
        found = found.where(searched.condition)
    return found


def _in_order(found: Rows, want: ConversationFilter, now: datetime) -> Iterable[Rows]:
    """Return the queries of the rows after `want.after`, one after the other."""
    if want.is_by_window:
        return reply_order.in_order(found, want.after and Position(*want.after), now=now)
    return (found.order_by(*_NEWEST_FIRST),)


def _cursor(want: ConversationFilter, row: Any, now: datetime) -> str:
    if want.is_by_window:
        return reply_order.make_cursor(reply_order.position_of(row, now=now))
    return make_cursor(row.last_message_at, row.id)


def _of_account(
    found: S, column: SQLColumnExpression[int], viewer: Viewer, account_id: int | None, want: ConversationFilter
) -> S:
    """Return the rows of one account (None for all that the viewer may see) after `want.after`."""
    found = viewer.visible(found if account_id is None else found.where(column == account_id), column)
    return found.where(want.after > _SORT_KEY) if want.after and not want.is_by_window else found


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
    shown: Sequence[Any],
    older: Any,
    viewer: Viewer,
    account_id: int,
    want: ConversationFilter,
    searched: Found,
    selected: int,
) -> Sequence[Any]:
    """Return `shown` with the selected row inserted in order; rows from `older` on belong to the next page."""
    found = _rows(viewer, account_id, replace(want, filter="all"), searched).where(Conversation.id == selected)
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
        automatic=row.last_message_automatic,
        reaction=row.last_reaction if row.last_reaction and row.last_reaction_at >= row.last_message_at else None,
        unread_count=row.unread_count,
        unread_by_all=row.unread_by_all > 0,
        arrivals=row.arrival_count,
        read_through=row.read_through,
        window_ends_at=reply_state.window_ends_at(row.last_incoming_at) if row.needs_reply_since else None,
        selected=row.id == selected,
    )


def _picture(row: Any) -> str | None:
    return avatars.picture_url(row.ig_account_id, row.ig_participant_id, row.picture)


def _older(want: ConversationFilter, after: str, ig_account_id: str, loaded: int) -> str:
    return "/inbox" + query_string(want, ig_account_id, limit=loaded, after=after)
