"""Conversations and messages of the API: keyset pages over all accounts the viewer may see."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, SQLColumnExpression, and_, select, tuple_, union_all

from app import clock, reply_state, text
from app.db.engine import db
from app.db.paging import fetch_page, fetch_page_of, limit_to_page
from app.errors import NotFound
from app.identities import display
from app.identities import listing as identities
from app.identities.listing import NameState
from app.inbox import listing, message_facts, reply_order, search, search_query
from app.inbox.message_facts import MessageAttachment, MessageReaction, MessageReferral, ReplyTarget
from app.inbox.reply_order import Position
from app.inbox.search_query import Query
from app.instagram.events import EventKind
from app.instagram.previews import preview
from app.models.account import ALL_IDS, Account, AccountState, all_ids
from app.models.contact import same_contact
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, StoredAvatar
from app.reply_state import WindowState
from app.viewer import Viewer

MOST_ACCOUNTS = 100  # whose first rows one query joins; SQLite joins at most 500
# Time (aware UTC) and ID of the last row of a page; with needed replies, whether its 24-hour window is closed.
FeedPosition = tuple[datetime, int, *tuple[bool, ...]]


@dataclass(frozen=True, slots=True)
class ConversationEntry:
    """One conversation. Times are aware UTC; `preview` is the text of the last message, or its kind in words."""

    id: int
    ig_account_id: str
    ig_participant_id: str
    username: str | None
    name: str | None
    picture_version: str | None
    display_name: str
    state: NameState
    last_message_at: datetime
    kind: str
    preview: str
    unread_count: int
    status: str
    needs_reply_since: datetime | None
    window_ends_at: datetime | None
    window_state: WindowState


@dataclass(frozen=True, slots=True)
class MessageEntry:
    """One message. Times are aware UTC; `text` is None when there is none or the message was unsent.

    `seen_at` is when the contact saw this message of the account, or a later one.
    """

    id: int
    mid: str
    ig_sender_id: str
    outgoing: bool
    kind: EventKind
    text: str | None
    attachments: tuple[MessageAttachment, ...]
    reactions: tuple[MessageReaction, ...]
    reply_to: ReplyTarget | None
    referral: MessageReferral | None
    sent_at: datetime
    edited_at: datetime | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """Which conversations to list: by account (None for all), status, unread, unknown, needed reply, a search term."""

    account_id: int | None = None
    status: str | None = None
    unread: bool = False
    unknown: bool = False
    needs_reply: bool = False
    q: str = ""


def conversations(
    viewer: Viewer, want: FeedQuery, *, limit: int, after: FeedPosition | None = None
) -> tuple[list[ConversationEntry], FeedPosition | None]:
    """Return at most `limit` conversations after `after`, and the position of the next page or None.

    They are sorted newest first, with `needs_reply` as in `reply_order`.
    """
    found = _matching(viewer, want)
    if want.needs_reply:
        now = clock.now()
        parts = reply_order.in_order(found, Position(*after) if after else None, now=now)
        rows, last = fetch_page_of((_by_account(viewer, want, part, limit) for part in parts), limit)
        return [_conversation_entry(row) for row in rows], reply_order.position_of(last, now=now) if last else None
    if after:
        found = found.where(tuple_(Conversation.last_message_at, Conversation.id) < after)
    found = found.order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
    rows, last = fetch_page(_by_account(viewer, want, found, limit), limit)
    return [_conversation_entry(row) for row in rows], (last.last_message_at, last.id) if last else None


def notices(q: str) -> tuple[str, ...]:
    """Return which operators of a search are searched as words, and why."""
    return _query(q).notices


def conversation(viewer: Viewer, conversation_id: int) -> ConversationEntry:
    """Return one conversation; raises NotFound, also for one the viewer may not see."""
    row = db.session.execute(_conversations(viewer).where(Conversation.id == conversation_id)).first()
    if row is None:
        raise NotFound("conversation")
    return _conversation_entry(row)


def as_dict(one: ConversationEntry) -> dict[str, Any]:
    """Return a conversation as JSON types, for the API and the command line."""
    return {
        "id": str(one.id),
        "accountId": one.ig_account_id,
        "participantPlatformId": one.ig_participant_id,
        "participantUsername": one.username,
        "participantName": one.name,
        "displayName": one.display_name,
        "identityState": one.state.value,
        "lastMessageAt": clock.rfc3339(one.last_message_at),
        "lastMessagePreview": one.preview,
        "unreadCount": one.unread_count,
        "status": one.status,
        "needsReply": one.needs_reply_since is not None,
        "needsReplySince": clock.rfc3339(one.needs_reply_since),
        "replyWindowEndsAt": clock.rfc3339(one.window_ends_at),
        "windowState": one.window_state.value,
    }


def messages(
    viewer: Viewer, conversation_id: int, *, limit: int, after: FeedPosition | None = None
) -> tuple[list[MessageEntry], FeedPosition | None]:
    """Return at most `limit` messages after `after`, newest first, and the position of the next page or None.

    Raises NotFound.
    """
    seen = _seen(viewer, conversation_id)
    columns = (
        *(Message.id, Message.mid, Message.ig_sender_id, Message.outgoing, Message.kind, Message.text),
        *(Message.attachments, Message.reactions, Message.context, Message.sent_at, Message.edited_at),
    )
    found = select(*columns).where(Message.conversation_id == conversation_id)
    if after:
        found = found.where(tuple_(Message.sent_at, Message.id) < after)
    rows, last = fetch_page(found.order_by(Message.sent_at.desc(), Message.id.desc()), limit)
    return [_message_entry(row, seen) for row in rows], (last.sent_at, last.id) if last else None


def _matching(viewer: Viewer, want: FeedQuery) -> Select[*tuple[Any, ...]]:
    searched = search.NOTHING_SEARCHED
    if want.q:
        searched = search.find(_query(text.storable(want.q)), _accounts(viewer, want), filters=listing.FILTERED)
    found = _conversations(viewer, searched.account_id)
    if want.account_id is not None:
        found = found.where(searched.account_id == want.account_id)
    if want.status:
        found = found.where(Conversation.status == want.status)
    for name, condition in listing.FILTERED.items():
        if getattr(want, name, False):
            found = found.where(condition)
    if searched.condition is not None:
        found = found.where(searched.condition)
    return found


def _conversations(
    viewer: Viewer, account_id: SQLColumnExpression[int] = Conversation.account_id
) -> Select[*tuple[Any, ...]]:
    picture = StoredAvatar.identity_id == Identity.id
    columns = (
        *(Conversation.id, Conversation.ig_participant_id, Conversation.last_message_at, Conversation.unread_count),
        *(Conversation.last_message_kind, Conversation.last_message_preview, Conversation.last_message_outgoing),
        *(Conversation.status, Conversation.needs_reply_since, Conversation.last_incoming_at),
        *(
            Account.ig_account_id,
            Identity.username,
            Identity.name,
            Identity.confusable_digits,
            StoredAvatar.version.label("picture_version"),
            Identity.last_success_at,
            Identity.last_error,
        ),
    )
    return (
        _visible(viewer, columns, account_id)
        .outerjoin(Identity, same_contact(Identity, Conversation))
        .outerjoin(StoredAvatar, picture)
    )


def _query(q: str) -> Query:
    return search_query.parse(q, filters=listing.FILTERED)


def _by_account(
    viewer: Viewer, want: FeedQuery, found: Select[*tuple[Any, ...]], limit: int
) -> Select[*tuple[Any, ...]]:
    """Limit a query of all accounts to the first rows of each account, whose indexes have its order."""
    visible = viewer.visible(select(Account.id).where(Account.state != AccountState.DELETING), Account.id)
    accounts = [] if want.q or want.account_id is not None else db.session.scalars(visible).all()
    if not 0 < len(accounts) <= MOST_ACCOUNTS:
        return found
    ids = found.with_only_columns(Conversation.id)
    first = (limit_to_page(ids.where(Conversation.account_id == each), limit).subquery() for each in accounts)
    return found.where(Conversation.id.in_(union_all(*(select(each.c.id) for each in first))))


def _accounts(viewer: Viewer, want: FeedQuery) -> Collection[int] | None:
    return viewer.account_ids if want.account_id is None else (want.account_id,)


def _conversation_entry(row: Any) -> ConversationEntry:
    shown = display.display_name(row.ig_participant_id, row.username, row.name, alike=row.confusable_digits)
    return ConversationEntry(
        id=row.id,
        ig_account_id=row.ig_account_id,
        ig_participant_id=row.ig_participant_id,
        username=shown.username,
        name=shown.name,
        picture_version=row.picture_version,
        display_name=shown.text,
        state=identities.state_of(row, known=shown.known),
        last_message_at=row.last_message_at,
        kind=row.last_message_kind,
        preview=preview(row.last_message_kind, row.last_message_preview, outgoing=row.last_message_outgoing),
        unread_count=row.unread_count,
        status=row.status,
        needs_reply_since=row.needs_reply_since,
        window_ends_at=reply_state.window_ends_at(row.last_incoming_at),
        window_state=reply_state.window_state(row.last_incoming_at),
    )


def _seen(viewer: Viewer, conversation_id: int) -> Any:
    """Return how far the contact has seen a conversation, and the account's IDs; raises NotFound."""
    columns = (Conversation.seen_until, Conversation.seen_at, *ALL_IDS)
    row = db.session.execute(_visible(viewer, columns).where(Conversation.id == conversation_id)).first()
    if row is None:
        raise NotFound("conversation")
    return row


def _visible(
    viewer: Viewer, columns: tuple[Any, ...], account_id: SQLColumnExpression[int] = Conversation.account_id
) -> Select[*tuple[Any, ...]]:
    account = and_(Account.id == Conversation.account_id, Account.state != AccountState.DELETING)
    found = select(*columns).select_from(Conversation).join(Account, account)
    return viewer.visible(found, account_id)


def _message_entry(row: Any, seen: Any) -> MessageEntry:
    was_seen = row.outgoing and seen.seen_until is not None and row.sent_at <= seen.seen_until
    return MessageEntry(
        id=row.id,
        mid=row.mid,
        ig_sender_id=row.ig_sender_id,
        outgoing=row.outgoing,
        kind=message_facts.kind_of(row.kind),
        text=row.text,
        attachments=message_facts.attachments(row.attachments),
        reactions=message_facts.reactions(row.reactions, all_ids(seen)),
        reply_to=message_facts.reply_to(row.context),
        referral=message_facts.referral(row.context),
        sent_at=row.sent_at,
        edited_at=row.edited_at,
        seen_at=seen.seen_at if was_seen else None,
    )
