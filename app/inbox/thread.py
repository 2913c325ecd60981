"""One open conversation: its messages and details; mark it read or unread."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any

from sqlalchemy import Select, select, tuple_

from app import read_state, reply_state
from app.db import transaction
from app.db.engine import db
from app.db.paging import fetch_page, make_cursor, parse_cursor
from app.errors import NotFound
from app.identities import account_pictures, avatars, display, manual_refresh
from app.identities.display import Avatar, DisplayName
from app.identities.reasons import describe
from app.inbox import details, parties, search, timeline
from app.inbox.details import ConversationDetails
from app.inbox.timeline import Day, Parties
from app.instagram.events import EventKind
from app.models.account import ALL_IDS, Account, AccountPicture, all_ids
from app.models.contact import same_contact
from app.models.conversation import Conversation, Message, UnreadByUser
from app.models.identity import Identity, StoredAvatar
from app.viewer import Viewer

MESSAGES = 50  # per page of older ones
CONTEXT = 15  # messages after one that a search found
MOST_MESSAGES = 300  # that a poll renders again; older ones are on separate pages
AT_ONCE = 20  # conversations per transaction, so that deliveries can be stored in between


@dataclass(frozen=True, slots=True)
class Thread:
    """An open conversation; `older` and `newer` are the URLs of the messages before and after those shown.

    `new_from` is the ID of the first message that was unread when the thread was opened, 0 without one. `limit` is how
    many of the newest messages are shown, `further` how many together with older ones. `arrivals` counts the contact's
    messages so far: marking this thread as read excludes later ones. `needs_reply`: whether a reply is needed; False
    if a user decided that none is; None after an answer. `incoming_through` is the time of the contact's newest
    message: that none is needed excludes later ones. `before` is the cursor of a page of older ones.
    `found` is the ID of the message at which a search opened the thread, 0 for none; `pieces` are to be marked in it.
    """

    id: int
    ig_participant_id: str
    display: DisplayName
    avatar: Avatar
    account: str
    account_avatar: Avatar
    unread_count: int
    arrivals: int
    needs_reply: bool | None
    incoming_through: datetime | None
    days: tuple[Day, ...]
    older: str | None
    newer: str | None
    before: str | None
    limit: int
    further: int | None
    new_from: int
    details: ConversationDetails
    found: int = 0
    pieces: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The result of a lookup: the display name now, and why the lookup failed or None."""

    display: DisplayName
    failure: str | None


_KNOWN = (
    *(Conversation.id, Conversation.account_id, Conversation.ig_participant_id, Conversation.arrival_count),
    *(read_state.UNREAD_COUNT, read_state.READ_THROUGH, Conversation.seen_until, Conversation.seen_at),
    *(Conversation.last_incoming_at, Conversation.last_outgoing_at, Conversation.needs_reply_since),
    *(Conversation.no_reply_needed_through, Conversation.no_reply_needed_by),
    *(Conversation.first_message_at, *ALL_IDS, Account.username.label("account")),
    *(Identity.username, Identity.username_at, Identity.username_source, Identity.name, Identity.name_at),
    *(Identity.name_source, Identity.last_success_at, Identity.last_failure_at, Identity.failure_count),
    *(Identity.last_error, Identity.next_try_at, Identity.confusable_digits, Identity.id.label("identity_id")),
    StoredAvatar.version.label("picture"),
    AccountPicture.version.label("account_picture"),
)


def open_thread(
    viewer: Viewer,
    conversation_id: int,
    *,
    zone: tzinfo = UTC,
    before: str | None = None,
    new_from: int | None = None,
    limit: int | None = None,
    at: int | None = None,
    q: str = "",
) -> Thread:
    """Return a conversation with its newest messages, with those around `at`, or with those `before` a cursor.

    `zone` is the viewer's time zone. `new_from` is that of the opened thread, None when it is being opened. `at` is the
    ID of a message that the search `q` found; one of another conversation counts as none. Raises NotFound, also for a
    conversation the viewer may not see.
    """
    known = require_conversation(viewer, conversation_id)
    limit = min(max(limit or MESSAGES, MESSAGES), MOST_MESSAGES)
    found = _found(conversation_id, at) if at else None
    if found and not before:
        before, limit = _around(conversation_id, found, limit)
    newest_first, oldest = fetch_page(_messages(conversation_id, before), limit)
    rows = newest_first[::-1]
    account = known.account or known.ig_account_id
    shown = _parties(known, account)
    if new_from is None:
        new_from = 0 if before else _first_new(rows, known)
    return Thread(
        id=known.id,
        ig_participant_id=known.ig_participant_id,
        display=shown.contact,
        avatar=shown.contact_avatar,
        account=account,
        account_avatar=shown.account_avatar,
        unread_count=known.unread_count,
        arrivals=known.arrival_count,
        needs_reply=reply_state.needs_reply(known),
        incoming_through=known.last_incoming_at,
        days=timeline.group_by_day(rows, shown, zone=zone, first_new=new_from),
        older=_url_before(known.id, oldest) if oldest else None,
        newer=_newer(known.id, rows) if before else None,
        before=before,
        limit=limit,
        further=limit + MESSAGES if oldest and not before and limit < MOST_MESSAGES else None,
        new_from=new_from,
        details=details.get_details(viewer, known, shown.contact, account=account),
        found=found.id if found else 0,
        pieces=search.pieces(q) if found else (),
    )


def require_conversation(viewer: Viewer, conversation_id: int) -> Any:
    """Return the row of a conversation with account and identity; raises NotFound, also without access."""
    found = (
        select(*_KNOWN)
        .join(Account, Account.id == Conversation.account_id)
        .outerjoin(Identity, same_contact(Identity, Conversation))
        .outerjoin(StoredAvatar, StoredAvatar.identity_id == Identity.id)
        .outerjoin(AccountPicture, AccountPicture.account_id == Account.id)
        .outerjoin(UnreadByUser, read_state.is_own(viewer))
        .where(Conversation.id == conversation_id)
    )
    found = viewer.visible(found, Conversation.account_id)
    row = db.session.execute(found).first()
    if row is None:
        raise NotFound("conversation")
    return row


def mark_read(viewer: Viewer, conversation_id: int, *, arrivals: int | None = None) -> None:
    """Mark the first `arrivals` messages of the contact as read, None for all of them.

    Messages that arrived later stay unread. Raises NotFound.
    """
    parties.get_parties(viewer, conversation_id)  # before the transaction, which would make other writers wait
    with transaction.write() as tx:
        if not read_state.mark_read(tx, viewer, {conversation_id: arrivals}):
            raise NotFound("conversation")


def mark_all_read(viewer: Viewer, shown: Mapping[int, int]) -> None:
    """Mark conversations as read, each up to its given number of messages; skips those the viewer may not see."""
    for some in _portions(shown):
        with transaction.write() as tx:
            read_state.mark_read(tx, viewer, some)


def mark_all_unread(viewer: Viewer, read_through: Mapping[int, int]) -> None:
    """Mark conversations as unread for the viewer: their messages after the given number. Undoes `mark_all_read`."""
    for some in _portions(read_through):
        with transaction.write() as tx:
            read_state.mark_unread(tx, viewer, some)


def mark_unread(viewer: Viewer, conversation_id: int) -> None:
    """Mark a conversation as unread for the viewer, who must be a user; raises NotFound."""
    parties.get_parties(viewer, conversation_id)
    with transaction.write() as tx:
        if not read_state.mark_unread(tx, viewer, {conversation_id: None}):
            raise NotFound("conversation")


def _portions(numbers: Mapping[int, int]) -> Iterator[dict[int, int | None]]:
    items = iter(sorted(numbers.items()))
    while some := dict(islice(items, AT_ONCE)):
        yield {**some}


def request_lookup(viewer: Viewer, conversation_id: int) -> datetime | None:
    """Request a lookup of the contact; returns and raises as `manual_refresh.refresh` does."""
    known = require_conversation(viewer, conversation_id)
    return manual_refresh.request(viewer, known.account_id, known.ig_participant_id, f"conversation {known.id}")


def lookup_result(viewer: Viewer, conversation_id: int, since: datetime) -> LookupResult | None:
    """Return the result of the contact's newest lookup since then (aware UTC), None while there is none.

    Raises NotFound.
    """
    known = require_conversation(viewer, conversation_id)
    looked_up_at: datetime | None = max(filter(None, (known.last_success_at, known.last_failure_at)), default=None)
    if looked_up_at is None or looked_up_at < since:
        return None
    shown = display.display_name(known.ig_participant_id, known.username, known.name, alike=known.confusable_digits)
    return LookupResult(shown, describe(known.last_error) if known.last_error else None)


def _messages(conversation_id: int, before: str | None) -> Select[*tuple[Any, ...]]:
    found = (
        select(
            *(Message.id, Message.mid, Message.ig_sender_id, Message.outgoing, Message.arrival, Message.kind),
            *(Message.text, Message.attachments, Message.context, Message.reactions, Message.edit_number),
            Message.sent_at,
        )
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.sent_at.desc(), Message.id.desc())
    )
    if before:
        found = found.where(tuple_(Message.sent_at, Message.id) < parse_cursor(before))
    return found


_PLACE = tuple_(Message.sent_at, Message.id)


def _found(conversation_id: int, message_id: int) -> Any | None:
    found = select(Message.id, Message.sent_at).where(Message.id == message_id)
    return db.session.execute(found.where(Message.conversation_id == conversation_id)).first()


def _around(conversation_id: int, found: Any, limit: int) -> tuple[str | None, int]:
    """Return how to show a message: a limit that includes it, or the cursor of a page of older messages with it."""
    newer = _after(conversation_id, found, MOST_MESSAGES)
    needed = len(newer) + 1 + CONTEXT
    if needed <= MOST_MESSAGES:
        return None, max(limit, -(-needed // MESSAGES) * MESSAGES)
    return make_cursor(newer[CONTEXT].sent_at, newer[CONTEXT].id), MESSAGES


def _newer(conversation_id: int, rows: Sequence[Any]) -> str | None:
    later = _after(conversation_id, rows[-1], MESSAGES + 1) if rows else []
    if not later:
        return None
    return _url_before(conversation_id, later[MESSAGES]) if len(later) > MESSAGES else f"/inbox/{conversation_id}?"


def _after(conversation_id: int, message: Any, limit: int) -> Sequence[Any]:
    later = select(Message.id, Message.sent_at).where(Message.conversation_id == conversation_id)
    later = later.where((message.sent_at, message.id) < _PLACE).order_by(Message.sent_at, Message.id).limit(limit)
    return db.session.execute(later).all()


def _url_before(conversation_id: int, first: Any) -> str:
    return f"/inbox/{conversation_id}?before={make_cursor(first.sent_at, first.id)}"


def _parties(known: Any, account: str) -> Parties:
    shown = display.display_name(known.ig_participant_id, known.username, known.name, alike=known.confusable_digits)
    return Parties(
        ig_participant_id=known.ig_participant_id,
        own_ids=all_ids(known),
        contact=shown,
        contact_avatar=display.avatar(
            known.ig_participant_id,
            shown,
            avatars.picture_url(known.ig_account_id, known.ig_participant_id, known.picture),
        ),
        account_avatar=account_pictures.avatar(known.ig_account_id, account, known.account_picture),
        seen_until=known.seen_until,
        seen_at=known.seen_at,
    )


def _first_new(rows: Sequence[Any], known: Any) -> int:
    if not known.unread_count:
        return 0
    counted = [row for row in rows if row.arrival is not None and row.kind != EventKind.UNSENT]
    unread = [row.id for row in counted if row.arrival > known.read_through]
    # Without one, a user marked the conversation as unread, or the unread messages are older than the shown ones.
    marked = [row.id for row in rows if not row.outgoing and row.kind not in (EventKind.HANDOVER, EventKind.UNSENT)]
    return next(iter(unread or marked[-1:]), 0)
