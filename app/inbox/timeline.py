"""The messages of a thread, grouped by day and by sender. IDs alone decide who sent a message."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from app import clock, settings
from app.identities import display
from app.identities.display import Avatar, DisplayName
from app.inbox import media, message_facts
from app.instagram import previews
from app.instagram.events import EventKind
from app.text import clean_name, is_blank, shorten, web_url

GAP = timedelta(minutes=10)  # a longer pause starts a new group of messages
QUOTE_CHARACTERS = 80
OURS, THEIRS, UNKNOWN = "ours", "theirs", "unknown"
SENT, SEEN = "Sent", "Seen"


@dataclass(frozen=True, slots=True)
class TimelineAttachment:
    """One attachment; a URL that the browser may not load is None, and the page shows a placeholder.

    The URL of a shared link may be on any host: pages only link to it. `label` names the kind.
    """

    kind: str
    label: str
    url: str | None
    title: str | None
    subtitle: str | None
    image_url: str | None
    buttons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimelineReaction:
    """One reaction to a message; `label` is a sentence with its sender."""

    emoji: str
    label: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a message refers to: `what` in words, the quoted text, and the URL of a story's picture; None without."""

    what: str
    quote: str | None = None
    url: str | None = None
    story: bool = False


@dataclass(frozen=True, slots=True)
class TimelineMessage:
    """One message; `kind` chooses the template that shows it, `first_new` puts the "New" divider before it.

    `empty` is the text of a message without text and attachments.
    """

    id: int
    kind: str
    text: str | None
    empty: str | None
    attachments: tuple[TimelineAttachment, ...]
    references: tuple[Reference, ...]
    reactions: tuple[TimelineReaction, ...]
    edited: bool
    sent_at: datetime
    first_new: bool


@dataclass(frozen=True, slots=True)
class MessageGroup:
    """Messages of one sender, each at most GAP after the previous one: `side` is "theirs", "ours" or "unknown".

    `state` is that of the account's last message: sent, or seen at `seen_at` (aware UTC).
    """

    id: str
    side: str
    sender: str
    avatar: Avatar | None
    at: datetime
    messages: tuple[TimelineMessage, ...]
    state: str | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Day:
    """The messages of one day in the viewer's time zone; `near` is "Today", "Yesterday" or empty."""

    date: date
    near: str
    label: str
    runs: tuple[MessageGroup, ...]


@dataclass(frozen=True, slots=True)
class Parties:
    """The possible senders: the contact, and the account with all its IDs; how far the contact has seen."""

    ig_participant_id: str
    own_ids: frozenset[str]
    contact: DisplayName
    contact_avatar: Avatar
    account_avatar: Avatar
    seen_until: datetime | None = None
    seen_at: datetime | None = None


def group_by_day(rows: Sequence[Any], parties: Parties, *, zone: tzinfo, first_new: int | None) -> tuple[Day, ...]:
    """Return message rows, oldest first, as days of groups; `zone` is the viewer's, `first_new` a message's ID."""
    today = clock.now().astimezone(zone).date()
    last_ours = next((row.id for row in reversed(rows) if _sender(row, parties)[0] == OURS), None)
    quotes = {row.mid: row for row in rows}
    days = []
    for day, of_day in groupby(rows, key=lambda row: row.sent_at.astimezone(zone).date()):
        runs = tuple(
            _group(run, parties, quotes, first_new=first_new, last_ours=last_ours)
            for run in _groups(of_day, parties, first_new)
        )
        days.append(Day(day, _near(day, today), _label(day, today), runs))
    return tuple(days)


def _groups(rows: Iterable[Any], parties: Parties, first_new: int | None) -> Iterator[list[Any]]:
    run: list[Any] = []
    for row in rows:
        silent = run and row.sent_at - run[-1].sent_at > GAP
        if run and (silent or row.id == first_new or _sender(row, parties) != _sender(run[-1], parties)):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _group(
    rows: Sequence[Any], parties: Parties, quotes: Mapping[str, Any], *, first_new: int | None, last_ours: int | None
) -> MessageGroup:
    side, unknown_id = _sender(rows[0], parties)
    if side == OURS:
        sender, avatar = "You", parties.account_avatar
    elif side == THEIRS:
        sender, avatar = parties.contact.text, parties.contact_avatar
    else:
        sender, avatar = unknown_id, display.avatar(unknown_id, display.display_name(unknown_id, None, None))
    last = rows[-1].id == last_ours
    seen = last and parties.seen_until is not None and parties.seen_until >= rows[-1].sent_at
    return MessageGroup(
        id=f"r-{rows[0].id}",
        side=side,
        sender=sender,
        avatar=avatar,
        at=rows[0].sent_at,
        messages=tuple(_message(row, parties, quotes, first_new) for row in rows),
        state=SEEN if seen else SENT if last else None,
        seen_at=parties.seen_at if seen else None,
    )


def _sender(row: Any, parties: Parties) -> tuple[str, str]:
    # An ID that is neither the account's nor the contact's is an unknown sender, never one of the two.
    if row.outgoing or row.ig_sender_id in parties.own_ids:
        return OURS, ""
    return (THEIRS, "") if row.ig_sender_id == parties.ig_participant_id else (UNKNOWN, row.ig_sender_id)


def _message(row: Any, parties: Parties, quotes: Mapping[str, Any], first_new: int | None) -> TimelineMessage:
    ours = _sender(row, parties)[0] == OURS
    context = row.context or {}
    words = row.text if row.text and not is_blank(row.text) else None
    references = tuple(_references(context, quotes, ours=ours))
    return TimelineMessage(
        id=row.id,
        kind=row.kind,
        text=words,
        empty=None if words or row.attachments else _empty(row.kind, context, references),
        attachments=tuple(_attachment(each, ours=ours) for each in row.attachments or ()),
        references=references,
        reactions=tuple(_reaction(each, parties) for each in message_facts.reactions(row.reactions, parties.own_ids)),
        edited=row.edit_number is not None,
        sent_at=row.sent_at,
        first_new=row.id == first_new,
    )


def _attachment(stored: Mapping[str, Any], *, ours: bool) -> TimelineAttachment:
    kind, url = str(stored.get("kind")), stored.get("url")
    return TimelineAttachment(
        kind=kind,
        label=_label_of(kind, stored, ours=ours),
        url=web_url(url) if kind == EventKind.LINK else _loadable(url),
        title=stored.get("title"),
        subtitle=stored.get("subtitle"),
        image_url=_loadable(stored.get("image_url")),
        buttons=tuple(stored.get("buttons") or ()),
    )


def _label_of(kind: str, stored: Mapping[str, Any], *, ours: bool) -> str:
    if kind == EventKind.TEMPLATE and not (stored.get("title") or stored.get("subtitle")):
        return "Shared a card without content"
    if kind != EventKind.UNSUPPORTED:
        return previews.label(kind, outgoing=ours)
    type_ = stored.get("type")
    return f"Unknown attachment type: {type_}" if type_ else "This type of attachment can only be viewed in Instagram."


def _empty(kind: str, context: Mapping[str, Any], references: tuple[Reference, ...]) -> str | None:
    if kind == EventKind.UNSUPPORTED and context.get("is_unsupported"):
        return "This type of message can only be viewed in Instagram."
    if kind == EventKind.UNSUPPORTED:
        return "Instagram sent this message without content"
    return None if references and kind != EventKind.TEXT else previews.EMPTY


def _references(context: Mapping[str, Any], quotes: Mapping[str, Any], *, ours: bool) -> Iterator[Reference]:
    reply, referral = context.get("reply_to") or {}, context.get("referral") or {}
    if isinstance(story := reply.get("story"), dict):
        replied = previews.label(EventKind.STORY_REPLY, outgoing=ours)
        yield Reference(replied, url=_loadable(story.get("url")), story=True)
    elif parent := quotes.get(str(reply.get("mid"))):
        yield Reference("Replied to a message", quote=shorten(parent.text or "", QUOTE_CHARACTERS) or None)
    elif reply:
        yield Reference("Replied to an earlier message")
    if isinstance(ad := referral.get("ads_context_data"), dict):
        yield Reference("Started from an ad", quote=clean_name(ad.get("ad_title")))
    elif isinstance(product := referral.get("product"), dict):
        yield Reference("Asked about a product", quote=clean_name(product.get("id")))
    elif referral:
        yield Reference("Started from a link", quote=clean_name(referral.get("ref")))
    if "quick_reply" in context:
        yield Reference("Tapped a quick reply")


def _reaction(found: message_facts.MessageReaction, parties: Parties) -> TimelineReaction:
    if found.from_account:
        who = "You"
    else:
        is_contact = found.ig_sender_id == parties.ig_participant_id
        who = parties.contact.text if is_contact else "Unknown sender"
    return TimelineReaction(found.emoji, f"{who} reacted with {found.emoji}")


def _loadable(url: object) -> str | None:
    return media.loadable(url, settings.current().media_hosts) if isinstance(url, str) else None


def _near(day: date, today: date) -> str:
    return {today: "Today", today - timedelta(days=1): "Yesterday"}.get(day, "")


def _label(day: date, today: date) -> str:
    return f"{day:%A} {day.day} {day:%B}" + (f" {day.year}" if day.year != today.year else "")
