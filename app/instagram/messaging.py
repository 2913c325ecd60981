"""One item of `messaging`: which event it tells (instagram-platform.md 5). Knows no envelope and no table."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from app import clock, text
from app.instagram import attachments
from app.instagram.events import (
    Attachment,
    Event,
    EventKind,
    IgnoredEvent,
    MessageAnnounced,
    MessageEdited,
    MessageSeen,
    MessageSent,
    MessageUnsent,
    ReactionChanged,
    SelfMessage,
)
from app.instagram.ids import ig_id

FUTURE = timedelta(minutes=10)  # an event later than this from now carries a wrong clock (reliability.md F30)
MILLISECONDS_FROM = 100_000_000_000  # smaller times are seconds, as in dashboard tests (instagram-platform.md 3)
MID_CHARACTERS = 512
MOST_EDITS = 1_000_000
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
EMOJIS = {"love": "❤️", "like": "👍", "laugh": "😂", "wow": "😮", "sad": "😢", "angry": "😠"}

CONTEXT = ("reply_to", "quick_reply", "referral")
IGNORED = ("delivery", "app_roles")  # nothing to show
HANDOVERS = ("pass_thread_control", "take_thread_control", "request_thread_control")


class UnreadableItemError(Exception):
    """An item that tells no event; `reason` is the dead letter's, the text says why."""

    def __init__(self, reason: str, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


def event(ig_account_id: str, value: object, *, received_at: datetime, entry_at: datetime | None = None) -> Event:
    """Return the event that one item tells; raises UnreadableItemError.

    An item without a usable time happened at `entry_at`, the time of its entry, which is the same when Meta delivers
    it again; without either it happened when it was received.
    """
    if not isinstance(value, dict):
        raise UnreadableItemError("unreadable", "the item is not an object")
    at = time_of(value.get("timestamp"), received_at) or entry_at or received_at
    for name, read in _READERS.items():
        if name in value:
            return read(ig_account_id, value, at)
    if any(name in value for name in HANDOVERS):
        return _handover(ig_account_id, value, at)
    if ignored := next((name for name in IGNORED if name in value), None):
        return IgnoredEvent(ig_account_id, at, "", ignored)
    raise UnreadableItemError("unknown_kind", "an event of a kind that is not known here")


def _message(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    message = _object(value, "message")
    mid = _mid(message)
    if _flag(message, "is_deleted"):
        return MessageUnsent(ig_account_id, at, mid)
    sender, recipient = _parties(value)
    if _flag(message, "is_self") or sender == recipient:
        return SelfMessage(ig_account_id, at, mid, sender, recipient)
    words = _words(message.get("text"))
    attached, gaps = attachments.read(message.get("attachments"))
    context = {name: message[name] for name in CONTEXT if isinstance(message.get(name), dict)}
    kind = kind_of(words, attached, context)
    if _flag(message, "is_unsupported"):
        context["is_unsupported"] = True
    gaps += tuple(_gaps(message, kind, context))
    return MessageSent(ig_account_id, sender, recipient, at, mid, kind, words, attached, context, gaps)


def _gaps(message: dict[str, Any], kind: EventKind, context: dict[str, Any]) -> Iterator[str]:
    if not isinstance(message.get("text"), str | None):
        yield "the text is not a string"
    for name in CONTEXT:
        if not isinstance(message.get(name), dict | None):
            yield f"{name} is not an object"
    if kind is EventKind.UNSUPPORTED and not message.get("attachments") and "is_unsupported" not in context:
        yield "the message has no content that is known here"


def _edit(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    edit = _object(value, "message_edit")
    mid, words, number = _mid(edit), _words(edit.get("text")), _whole(edit.get("num_edit"))
    if not isinstance(edit.get("text"), str) or number == 0:
        return MessageAnnounced(ig_account_id, at, mid, words)
    sender = value.get("sender")
    named = ig_id(sender.get("id")) if isinstance(sender, dict) else None
    known_number = number if number is not None and number < MOST_EDITS else 1
    return MessageEdited(ig_account_id, at, mid, words or "", known_number, named)


def _reaction(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    reaction = _object(value, "reaction")
    mid, sender = _mid(reaction), _sender(value)
    if reaction.get("action") == "unreact":
        return ReactionChanged(ig_account_id, at, mid, sender, None)
    shown = text.clean_emoji(reaction.get("emoji")) or EMOJIS.get(str(reaction.get("reaction")), "•")
    return ReactionChanged(ig_account_id, at, mid, sender, shown)


def _read(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return MessageSeen(ig_account_id, at, _mid(_object(value, "read")), _sender(value))


def _postback(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    postback = _object(value, "postback")
    sender, recipient = _parties(value)
    words = _words(postback.get("title"))
    kept = {name: postback[name] for name in ("payload", "referral") if name in postback}
    context: dict[str, Any] = {"postback": kept}
    # Taps on ice breakers and menus may come without a mid.
    mid = _mid(postback) if postback.get("mid") else _derived_mid(value, EventKind.POSTBACK, context | {"title": words})
    if _flag(value, "is_self") or sender == recipient:
        return SelfMessage(ig_account_id, at, mid, sender, recipient)
    return MessageSent(ig_account_id, sender, recipient, at, mid, EventKind.POSTBACK, words, (), context)


def _referral(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return _without_mid(ig_account_id, value, at, EventKind.REFERRAL, {"referral": _object(value, "referral")})


def _optin(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    told = _object(value, "optin")
    safe = {name: told[name] for name in ("type", "payload", "title") if name in told}  # the rest may be a token
    return _without_mid(ig_account_id, value, at, EventKind.OPTIN, {"optin": safe})


def _handover(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    what = next(name for name in HANDOVERS if name in value)
    return _without_mid(ig_account_id, value, at, EventKind.HANDOVER, {"handover": what})


def _without_mid(
    ig_account_id: str, value: dict[str, Any], at: datetime, kind: EventKind, context: dict[str, Any]
) -> MessageSent:
    sender, recipient = _parties(value)
    mid = _derived_mid(value, kind, context)
    return MessageSent(ig_account_id, sender, recipient, at, mid, kind, None, (), context)


def _derived_mid(value: dict[str, Any], kind: EventKind, content: dict[str, Any]) -> str:
    # From Meta's own time or none, never from the time of receipt: each delivery of one event has the same.
    told_at = _time(value.get("timestamp"))
    told = json.dumps([*_parties(value), told_at.isoformat() if told_at else None, content], sort_keys=True)
    return f"{kind}:{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"


_READERS: dict[str, Callable[[str, dict[str, Any], datetime], Event]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "read": _read,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
}


def kind_of(words: str | None, attached: tuple[Attachment, ...], context: dict[str, Any]) -> EventKind:
    """Return what a message is, from its text, its attachments and what it refers to."""
    if "story" in context.get("reply_to", {}):
        return EventKind.STORY_REPLY
    if words is not None:
        return EventKind.TEXT
    shown = (each.kind for each in attached if each.kind not in (EventKind.UNSUPPORTED, EventKind.EPHEMERAL))
    return next(shown, attached[0].kind if attached else EventKind.UNSUPPORTED)


def _words(value: object) -> str | None:
    return text.clean_message(value) if isinstance(value, str) and value else None


def _flag(holder: dict[str, Any], name: str) -> bool:
    return holder.get(name) in (True, 1, "true")


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value[name]
    if not isinstance(found, dict):
        raise UnreadableItemError("unreadable", f"the {name} is not an object")
    return found


def _mid(holder: dict[str, Any]) -> str:
    mid = holder.get("mid")
    if not isinstance(mid, str) or not 0 < len(mid) <= MID_CHARACTERS:
        raise UnreadableItemError("unreadable", "the event names no message")
    return text.storable(mid)


def _parties(value: dict[str, Any]) -> tuple[str, str]:
    sender, recipient = _party(value.get("sender")), _party(value.get("recipient"))
    if sender is None or recipient is None:
        raise UnreadableItemError("unreadable", "the event has no sender or no recipient")
    return sender, recipient


def _sender(value: dict[str, Any]) -> str:
    sender = _party(value.get("sender"))
    if sender is None:
        raise UnreadableItemError("unreadable", "the event has no sender")
    return sender


def _party(value: object) -> str | None:
    return ig_id(value.get("id")) if isinstance(value, dict) else None


def time_of(timestamp: object, received_at: datetime) -> datetime | None:
    """Return the moment that one of Meta's timestamps names, None where it names none or is later than it can be."""
    at = _time(timestamp)
    return at if at is not None and at <= received_at + FUTURE else None


def _time(timestamp: object) -> datetime | None:
    """Return the time that an event carries, whatever the clock here says; None for what cannot be one."""
    number = _whole(timestamp)
    if not number:
        return None
    try:
        return clock.from_timestamp(number / 1000 if number >= MILLISECONDS_FROM else number)
    except (ValueError, OverflowError, OSError):
        return None


def _whole(value: object) -> int | None:
    """Return a whole number from 0, which Meta also writes as text, or as a number with a fraction of zero."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if _DIGITS.fullmatch(str(value)) else None
