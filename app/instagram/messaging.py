"""Parse one item of `messaging` into an event (docs/meta-platform.md#events)."""

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

FUTURE = timedelta(minutes=10)  # a later timestamp comes from a wrong clock
MILLISECONDS_FROM = 100_000_000_000  # smaller times are seconds, as in tests from the App Dashboard
MID_CHARACTERS = 512
MOST_EDITS = 1_000_000
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
EMOJIS = {"love": "❤️", "like": "👍", "laugh": "😂", "wow": "😮", "sad": "😢", "angry": "😠"}

CONTEXT = ("reply_to", "quick_reply", "referral")
IGNORED = ("delivery", "app_roles")  # nothing to show
HANDOVERS = ("pass_thread_control", "take_thread_control", "request_thread_control")


class UnreadableItemError(Exception):
    """An item without a known event; `reason` is that of the dead letter, the text explains it."""

    def __init__(self, reason: str, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


def parse_event(ig_account_id: str, value: object, *, received_at: datetime, entry_at: datetime | None = None) -> Event:
    """Return the event in one item; raises UnreadableItemError. Times are aware UTC.

    An item without a usable time gets `entry_at`, the time of its entry, which repeated deliveries share; without
    either it gets the time when it was received.
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
    raise UnreadableItemError("unknown_kind", "unknown event type")


def _message(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    message = _object(value, "message")
    mid = _mid(message)
    if _flag(message, "is_deleted"):
        return MessageUnsent(ig_account_id, at, mid)
    sender, recipient = _parties(value)
    if _flag(message, "is_self") or sender == recipient:
        return SelfMessage(ig_account_id, at, mid, sender, recipient)
    body = _clean_text(message.get("text"))
    attached, gaps = attachments.parse(message.get("attachments"))
    context = {name: message[name] for name in CONTEXT if isinstance(message.get(name), dict)}
    kind = kind_of(body, attached, context)
    if _flag(message, "is_unsupported"):
        context["is_unsupported"] = True
    gaps += tuple(_gaps(message, kind, context))
    app_id = ig_id(message.get("app_id"))
    return MessageSent(ig_account_id, sender, recipient, at, mid, kind, body, attached, context, gaps, app_id)


def _gaps(message: dict[str, Any], kind: EventKind, context: dict[str, Any]) -> Iterator[str]:
    if not isinstance(message.get("text"), str | None):
        yield "the text is not a string"
    for name in CONTEXT:
        if not isinstance(message.get(name), dict | None):
            yield f"{name} is not an object"
    if kind is EventKind.UNSUPPORTED and not message.get("attachments") and "is_unsupported" not in context:
        yield "the message has no known content"


def _edit(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    edit = _object(value, "message_edit")
    mid, body, number = _mid(edit), _clean_text(edit.get("text")), _whole_number(edit.get("num_edit"))
    if not isinstance(edit.get("text"), str) or number == 0:
        return MessageAnnounced(ig_account_id, at, mid, body)
    sender = value.get("sender")
    sender_id = ig_id(sender.get("id")) if isinstance(sender, dict) else None
    known_number = number if number is not None and number < MOST_EDITS else 1
    return MessageEdited(ig_account_id, at, mid, body or "", known_number, sender_id)


def _reaction(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    reaction = _object(value, "reaction")
    mid, sender = _mid(reaction), _sender(value)
    if reaction.get("action") == "unreact":
        return ReactionChanged(ig_account_id, at, mid, sender, None)
    shown = text.clean_emoji(reaction.get("emoji")) or EMOJIS.get(str(reaction.get("reaction")), "•")
    return ReactionChanged(ig_account_id, at, mid, sender, shown)


def _seen(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return MessageSeen(ig_account_id, at, _mid(_object(value, "read")), _sender(value))


def _postback(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    postback = _object(value, "postback")
    sender, recipient = _parties(value)
    body = _clean_text(postback.get("title"))
    kept = {name: postback[name] for name in ("payload", "referral") if name in postback}
    context: dict[str, Any] = {"postback": kept}
    # Taps on ice breakers and menus may come without a mid.
    mid = _mid(postback) if postback.get("mid") else _derived_mid(value, EventKind.POSTBACK, context | {"title": body})
    if _flag(value, "is_self") or sender == recipient:
        return SelfMessage(ig_account_id, at, mid, sender, recipient)
    return MessageSent(ig_account_id, sender, recipient, at, mid, EventKind.POSTBACK, body, (), context)


def _referral(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return _without_mid(ig_account_id, value, at, EventKind.REFERRAL, {"referral": _object(value, "referral")})


def _optin(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    optin = _object(value, "optin")
    safe = {name: optin[name] for name in ("type", "payload", "title") if name in optin}  # not the token
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
    # Derived from Meta's time, not the time of receipt: repeated deliveries get the same mid.
    sent_at = _time(value.get("timestamp"))
    identity = json.dumps([*_parties(value), sent_at.isoformat() if sent_at else None, content], sort_keys=True)
    return f"{kind}:{hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()}"


_READERS: dict[str, Callable[[str, dict[str, Any], datetime], Event]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "read": _seen,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
}


def kind_of(body: str | None, attached: tuple[Attachment, ...], context: dict[str, Any]) -> EventKind:
    """Return the kind of a message from its text, its attachments and its context."""
    if "story" in context.get("reply_to", {}):
        return EventKind.STORY_REPLY
    if body is not None:
        return EventKind.TEXT
    shown = (each.kind for each in attached if each.kind not in (EventKind.UNSUPPORTED, EventKind.EPHEMERAL))
    return next(shown, attached[0].kind if attached else EventKind.UNSUPPORTED)


def _clean_text(value: object) -> str | None:
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
        raise UnreadableItemError("unreadable", "the event has no message ID")
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
    """Return one of Meta's timestamps as aware UTC; None if it is invalid or in the future."""
    at = _time(timestamp)
    return at if at is not None and at <= received_at + FUTURE else None


def _time(timestamp: object) -> datetime | None:
    """Return one of Meta's timestamps as aware UTC, also a future one; None if it is invalid."""
    number = _whole_number(timestamp)
    if not number:
        return None
    try:
        return clock.from_timestamp(number / 1000 if number >= MILLISECONDS_FROM else number)
    except (ValueError, OverflowError, OSError):
        return None


def _whole_number(value: object) -> int | None:
    """Return a whole number from 0, also from a string or a float without a fraction; else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if _DIGITS.fullmatch(str(value)) else None
