"""Messages as a thread shows them: grouped by day and by sender. Who sent one is decided by ids alone."""

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

GAP = timedelta(minutes=10)  # a longer silence begins a new run of messages (ui.md 6.3)
QUOTE_CHARACTERS = 80
OURS, THEIRS, UNKNOWN = "ours", "theirs", "unknown"
SENT, SEEN = "Sent", "Seen"


@dataclass(frozen=True, slots=True)
class TimelineAttachment:
    """One attachment; its URLs are given only when the browser may load them, else a placeholder is shown.

    A shared link is not loaded, so its URL may lead anywhere. `label` says what the attachment is.
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
    """One reaction on a message; `label` says in a sentence whose it is."""

    emoji: str
    label: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a message refers to: `what` in words, with the quoted text or the story's picture if there is one."""

    what: str
    quote: str | None = None
    url: str | None = None
    story: bool = False


@dataclass(frozen=True, slots=True)
class TimelineMessage:
    """One message; `kind` chooses the template that shows it, `first_new` puts the "New" divider before it.

    `empty` says in words that a message without text and attachments has nothing to show.
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
    """Messages of one sender, at most ten minutes apart: `side` is "theirs", "ours" or "unknown".

    `state` stands under the last of ours: sent, or seen at `seen_at` (aware UTC).
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
    """The messages of one day in the viewer's time zone; `near` is how near it is ("Today"), or nothing."""

    date: date
    near: str
    label: str
    runs: tuple[MessageGroup, ...]


@dataclass(frozen=True, slots=True)
class Parties:
    """Who may have sent a message: the person, and the account under all its ids; how far the person has seen."""

    ig_participant_id: str
    own_ids: frozenset[str]
    person: DisplayName
    person_avatar: Avatar
    account_avatar: Avatar
    seen_until: datetime | None = None
    seen_at: datetime | None = None


def group_by_day(rows: Sequence[Any], parties: Parties, *, zone: tzinfo, first_new: int | None) -> tuple[Day, ...]:
    """Return message rows, oldest first, as days of runs; `zone` is the viewer's, `first_new` a message's id."""
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
    side, stranger = _sender(rows[0], parties)
    if side == OURS:
        sender, avatar = "You", parties.account_avatar
    elif side == THEIRS:
        sender, avatar = parties.person.text, parties.person_avatar
    else:
        sender, avatar = stranger, display.avatar(stranger, display.display_name(stranger, None, None))
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
    # Never by exclusion: an id that is neither the account's nor the person's is somebody we cannot name.
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
    return f"Unknown attachment type: {type_}" if type_ else "Instagram doesn’t share this kind of attachment"


def _empty(kind: str, context: Mapping[str, Any], references: tuple[Reference, ...]) -> str | None:
    if kind == EventKind.UNSUPPORTED and context.get("is_unsupported"):
        return "Instagram doesn’t share this kind of message"
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
        yield Reference("Came from an ad", quote=clean_name(ad.get("ad_title")))
    elif isinstance(product := referral.get("product"), dict):
        yield Reference("Asked about a product", quote=clean_name(product.get("id")))
    elif referral:
        yield Reference("Came through a link", quote=clean_name(referral.get("ref")))
    if "quick_reply" in context:
        yield Reference("Tapped a quick reply")


def _reaction(found: message_facts.MessageReaction, parties: Parties) -> TimelineReaction:
    if found.from_account:
        who = "You"
    else:
        is_contact = found.ig_sender_id == parties.ig_participant_id
        who = parties.person.text if is_contact else "Unknown sender"
    return TimelineReaction(found.emoji, f"{who} reacted with {found.emoji}")


def _loadable(url: object) -> str | None:
    return media.loadable(url, settings.current().media_hosts) if isinstance(url, str) else None


def _near(day: date, today: date) -> str:
    return {today: "Today", today - timedelta(days=1): "Yesterday"}.get(day, "")


def _label(day: date, today: date) -> str:
    return f"{day:%A} {day.day} {day:%B}" + (f" {day.year}" if day.year != today.year else "")
