"""One item of `messaging`: which event it tells (instagram-platform.md 5). Knows no envelope and no table."""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app import clock, text
from app.instagram.events import (
    Attachment,
    Event,
    Kind,
    MessageAnnounced,
    MessageEdited,
    MessageSeen,
    MessageSent,
    MessageUnsent,
    Passed,
    ReactionChanged,
    SelfTalk,
)
from app.instagram.ids import ig_id

FUTURE = timedelta(minutes=10)  # an event later than this from now carries a wrong clock (reliability.md F30)
MILLISECONDS_FROM = 100_000_000_000  # smaller times are seconds, as in dashboard tests (instagram-platform.md 3)
MID_CHARACTERS = 512
URL_CHARACTERS = 4_000
EMOJI_CHARACTERS = 8
EMOJIS = {"love": "❤️", "like": "👍", "laugh": "😂", "wow": "😮", "sad": "😢", "angry": "😠"}

ATTACHMENT_KINDS = {
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "audio": Kind.AUDIO,
    "file": Kind.FILE,
    "share": Kind.SHARE,
    "ig_post": Kind.SHARE,
    "ig_reel": Kind.REEL,
    "reel": Kind.REEL,
    "ig_story": Kind.STORY,
    "story": Kind.STORY,
    "story_mention": Kind.STORY_MENTION,
    "template": Kind.TEMPLATE,
    "ephemeral": Kind.EPHEMERAL,
}
CONTEXT = ("reply_to", "quick_reply", "referral")
HANDOVERS = ("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles")


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
    for name, read in _READERS.items():
        if name in value:
            return read(ig_account_id, value, time_of(value.get("timestamp"), received_at) or entry_at or received_at)
    if any(name in value for name in HANDOVERS):
        at = time_of(value.get("timestamp"), received_at) or entry_at or received_at
        return _handover(ig_account_id, value, at)
    raise UnreadableItemError("unknown_kind", "an event of a kind that is not known here")


def time_of(timestamp: object, received_at: datetime) -> datetime | None:
    """Return the moment that one of Meta's timestamps names, None where it names none or is later than it can be."""
    try:
        number = int(timestamp) if isinstance(timestamp, int | str) else 0
        at = clock.from_timestamp(number / 1000 if number >= MILLISECONDS_FROM else number)
    except (ValueError, OverflowError, OSError):
        return None
    return at if number > 0 and at <= received_at + FUTURE else None


def _message(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    message = _object(value, "message")
    mid = _mid(message)
    if message.get("is_deleted"):
        return MessageUnsent(ig_account_id, at, mid)
    sender, recipient = _parties(value)
    if message.get("is_self") or sender == recipient:
        return SelfTalk(ig_account_id, at, mid, recipient)
    body = message.get("text")
    words = text.clean_message(body) if isinstance(body, str) and body else None
    attachments = _attachments(message.get("attachments"))
    context = {name: message[name] for name in CONTEXT if isinstance(message.get(name), dict)}
    kind = _kind(words, attachments, context)
    return MessageSent(ig_account_id, sender, recipient, at, mid, kind, words, attachments, context)


def _edit(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    edit = _object(value, "message_edit")
    mid, words, number = _mid(edit), edit.get("text"), edit.get("num_edit")
    counted = int(number) if isinstance(number, int | str) and re.fullmatch(r"[0-9]{1,6}", str(number)) else 0
    if not isinstance(words, str) or counted < 1:
        return MessageAnnounced(ig_account_id, at, mid)
    sender = value.get("sender")
    named = ig_id(sender.get("id")) if isinstance(sender, dict) else None
    return MessageEdited(ig_account_id, at, mid, text.clean_message(words), counted, named)


def _reaction(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    reaction = _object(value, "reaction")
    mid, sender = _mid(reaction), _sender(value)
    if reaction.get("action") == "unreact":
        return ReactionChanged(ig_account_id, at, mid, sender, None)
    shown = text.clean_name(reaction.get("emoji")) or EMOJIS.get(str(reaction.get("reaction")), "•")
    return ReactionChanged(ig_account_id, at, mid, sender, shown[:EMOJI_CHARACTERS])


def _read(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return MessageSeen(ig_account_id, at, _mid(_object(value, "read")), _sender(value))


def _postback(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    postback = _object(value, "postback")
    mid, (sender, recipient) = _mid(postback), _parties(value)
    if value.get("is_self") or sender == recipient:
        return SelfTalk(ig_account_id, at, mid, recipient)
    context = {name: postback[name] for name in ("payload", "referral") if name in postback}
    title = postback.get("title")
    words = text.clean_message(title) if isinstance(title, str) and title else None
    return MessageSent(ig_account_id, sender, recipient, at, mid, Kind.POSTBACK, words, (), {"postback": context})


def _referral(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    return _without_mid(ig_account_id, value, at, Kind.REFERRAL, {"referral": _object(value, "referral")})


def _optin(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    told = _object(value, "optin")
    safe = {name: told[name] for name in ("type", "payload", "title") if name in told}  # the rest may be a token
    return _without_mid(ig_account_id, value, at, Kind.OPTIN, {"optin": safe})


def _handover(ig_account_id: str, value: dict[str, Any], at: datetime) -> Event:
    what = next(name for name in HANDOVERS if name in value)
    if what == "app_roles":
        return Passed(ig_account_id, at, "", what)
    return _without_mid(ig_account_id, value, at, Kind.HANDOVER, {"handover": what})


def _without_mid(
    ig_account_id: str, value: dict[str, Any], at: datetime, kind: Kind, context: dict[str, Any]
) -> MessageSent:
    sender, recipient = _parties(value)
    told = json.dumps([sender, recipient, at.isoformat(), context], sort_keys=True)
    mid = f"{kind}:{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"
    return MessageSent(ig_account_id, sender, recipient, at, mid, kind, None, (), context)


_READERS: dict[str, Callable[[str, dict[str, Any], datetime], Event]] = {
    "message": _message,
    "message_edit": _edit,
    "reaction": _reaction,
    "read": _read,
    "postback": _postback,
    "referral": _referral,
    "optin": _optin,
}


def _kind(words: str | None, attachments: tuple[Attachment, ...], context: dict[str, Any]) -> Kind:
    if "story" in context.get("reply_to", {}):
        return Kind.STORY_REPLY
    if words is not None:
        return Kind.TEXT
    return attachments[0].kind if attachments else Kind.UNSUPPORTED


def _attachments(found: object) -> tuple[Attachment, ...]:
    kept = [_attachment(value) for value in found if isinstance(value, dict)] if isinstance(found, list) else []
    # One post came twice in a message, as share and as ig_post (instagram-platform.md 5): equal ones are one.
    return tuple(dict.fromkeys(kept))


def _attachment(value: dict[str, Any]) -> Attachment:
    payload = value.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    kind = value.get("type")
    url = payload.get("url") or payload.get("story_media_url")
    return Attachment(
        kind=ATTACHMENT_KINDS.get(kind, Kind.UNSUPPORTED) if isinstance(kind, str) else Kind.UNSUPPORTED,
        url=text.storable(url) if isinstance(url, str) and len(url) <= URL_CHARACTERS else None,
        title=text.clean_name(payload.get("title")),
    )


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
