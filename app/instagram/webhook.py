"""What a delivery of Meta's says: envelopes become events. Never raises for one bad item; knows no table."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import clock, text
from app.instagram.events import Attachment, Event, Kind, MessageSent

DEPTH = 32
FUTURE = timedelta(minutes=10)  # an event later than this from now carries a wrong clock (reliability.md F30)
MILLISECONDS_FROM = 100_000_000_000  # smaller times are seconds, as in dashboard tests (instagram-platform.md 3)
IG_ID = re.compile(r"[0-9A-Za-z_.:-]{1,64}", re.ASCII)
MID_CHARACTERS = 512
URL_CHARACTERS = 4_000

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
}
CONTEXT = ("reply_to", "quick_reply", "referral")


class UnreadableBodyError(Exception):
    """A signed body that is no JSON object at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a delivery: the event it tells, or the reason why it tells none.

    `raw` is a delivery of its own that holds this item alone, so that keeping it is keeping something replayable.
    """

    ig_account_id: str | None
    event: Event | None
    reason: str
    explanation: str
    raw: dict[str, Any]


def parse(body: bytes, *, received_at: datetime) -> list[Item]:
    """Return the items of a signed body, whichever of the four envelopes they came in (instagram-platform.md 4).

    Raises UnreadableBodyError when the body is no JSON object (or array of them) at all.
    """
    envelopes = _json(body)
    return [item for envelope in envelopes for item in _items(envelope, received_at)]


def _json(body: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError:
        raise UnreadableBodyError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise UnreadableBodyError("the body is not JSON") from None
    if body.count(b"{") + body.count(b"[") > DEPTH and _too_deep(found):
        raise UnreadableBodyError(f"the body nests deeper than {DEPTH} levels")
    envelopes = found if isinstance(found, list) else [found]
    if not envelopes or not all(isinstance(envelope, dict) for envelope in envelopes):
        raise UnreadableBodyError("the body is not a JSON object")
    return envelopes


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(digits)
    return number


def _too_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return list(node.values())
    return list(node) if isinstance(node, list) else []


def _items(envelope: dict[str, Any], received_at: datetime) -> Iterator[Item]:
    entries = envelope.get("entry")
    if not isinstance(entries, list) or not entries:
        yield Item(None, None, "unreadable", "the delivery has no entries", envelope)
        return
    for entry in entries:
        if isinstance(entry, dict):
            yield from _entry(envelope, entry, received_at)
        else:
            yield Item(None, None, "unreadable", "an entry is not an object", envelope | {"entry": [entry]})


def _entry(envelope: dict[str, Any], entry: dict[str, Any], received_at: datetime) -> Iterator[Item]:
    ig_account_id = _ig_id(entry.get("id"))
    told = False
    for name in ("messaging", "standby", "changes"):
        values = entry.get(name)
        if values is None:
            continue
        told = True
        alone = envelope | {"entry": [_without_lists(entry)]}
        for value in values if isinstance(values, list) else [values]:
            raw = alone | {"entry": [alone["entry"][0] | {name: [value]}]}
            yield _item(ig_account_id, name, value, raw, received_at)
    if not told:
        raw = envelope | {"entry": [entry]}
        yield Item(ig_account_id, None, "unknown_kind", "the entry holds no direct-message event", raw)


def _without_lists(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("messaging", "standby", "changes")}


def _item(ig_account_id: str | None, envelope: str, value: Any, raw: dict[str, Any], received_at: datetime) -> Item:
    if envelope == "changes":
        if not isinstance(value, dict) or value.get("field") != "messages":
            return Item(ig_account_id, None, "unknown_kind", "a change of another field than messages", raw)
        value = value.get("value")
    if not isinstance(value, dict):
        return Item(ig_account_id, None, "unreadable", "the item is not an object", raw)
    if envelope == "standby":
        return Item(ig_account_id, None, "unknown_kind", "a copy of an event for another app (standby)", raw)
    if ig_account_id is None:
        return Item(None, None, "unreadable", "the entry has no account id", raw)
    return _messaging(ig_account_id, value, raw, received_at)


def _messaging(ig_account_id: str, value: dict[str, Any], raw: dict[str, Any], received_at: datetime) -> Item:
    message = value.get("message")
    if not isinstance(message, dict) or message.get("is_deleted"):
        return Item(ig_account_id, None, "unknown_kind", "an event that is no message", raw)
    sender, recipient = _party(value.get("sender")), _party(value.get("recipient"))
    mid = message.get("mid")
    if sender is None or recipient is None:
        return Item(ig_account_id, None, "unreadable", "the message has no sender or no recipient", raw)
    if not isinstance(mid, str) or not 0 < len(mid) <= MID_CHARACTERS:
        return Item(ig_account_id, None, "unreadable", "the message has no id", raw)
    if message.get("is_self") or sender == recipient:
        return Item(ig_account_id, None, "unknown_kind", "a message of the account to itself", raw)
    event = _message_sent(ig_account_id, sender, recipient, message, _sane(value.get("timestamp"), received_at))
    return Item(ig_account_id, event, "", "", raw)


def _message_sent(
    ig_account_id: str, sender: str, recipient: str, message: dict[str, Any], sent_at: datetime
) -> MessageSent:
    body = message.get("text")
    words = text.clean_message(body) if isinstance(body, str) and body else None
    attachments = _attachments(message.get("attachments"))
    context = {name: message[name] for name in CONTEXT if isinstance(message.get(name), dict)}
    return MessageSent(
        ig_account_id=ig_account_id,
        ig_sender_id=sender,
        ig_recipient_id=recipient,
        sent_at=sent_at,
        mid=text.storable(message["mid"]),
        kind=_kind(words, attachments, context),
        text=words,
        attachments=attachments,
        context=context,
    )


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


def _party(value: object) -> str | None:
    return _ig_id(value.get("id")) if isinstance(value, dict) else None


def _ig_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and IG_ID.fullmatch(value) else None


def _sane(timestamp: object, received_at: datetime) -> datetime:
    try:
        number = int(timestamp) if isinstance(timestamp, int | str) else 0
        at = clock.from_timestamp(number / 1000 if number >= MILLISECONDS_FROM else number)
    except (ValueError, OverflowError, OSError):
        return received_at
    return at if number > 0 and at <= received_at + FUTURE else received_at
