"""What a delivery of Meta's says: envelopes become events. Never raises for one bad item; knows no table."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.instagram import messaging
from app.instagram.events import Event, IgnoredEvent, MessageSent
from app.instagram.ids import ig_id
from app.instagram.messaging import UnreadableItemError
from app.text import clean_name

DEPTH = 32
NUMBER_CHARACTERS = 40
SCALAR_CHARACTERS = 64
TOO_DEEP = "(nested too deep)"
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
MESSAGE_FIELDS = frozenset(
    {
        *("messages", "message_echoes", "message_edit", "message_reactions", "messaging_seen", "messaging_postbacks"),
        *("messaging_referral", "messaging_optins", "messaging_handover", "standby", "agent_messages"),
    }
)  # instagram-platform.md 3
IGNORED_FIELDS = frozenset(
    {
        *("comments", "live_comments", "mentions", "story_insights", "follow", "story_reactions", "share_to_story"),
        *("comment_poll_response", "story_poll_response", "delta", "creator_marketplace_projects"),
        *("creator_marketplace_invited_creator_onboarding", "onboarding_welcome_message_series"),
    }
)  # no direct messages

_Times = tuple[datetime, datetime | None]  # when a delivery was received, and the time of its entry


class UnreadableBodyError(Exception):
    """A signed body in which nothing can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class WebhookItem:
    """One item of a delivery: the event it tells, or the reason why it tells none.

    `raw` is a delivery of its own that holds this item alone, without what else the envelope carries: it can be
    replayed, and many items of one envelope take no more room than the envelope.
    """

    ig_account_id: str | None
    event: Event | None
    reason: str
    explanation: str
    raw: dict[str, Any]

    @property
    def gaps(self) -> tuple[str, ...]:
        """Which parts of the item are not understood, although its event is."""
        return self.event.gaps if isinstance(self.event, MessageSent) else ()


def parse(body: bytes, *, received_at: datetime) -> list[WebhookItem]:
    """Return the items of a signed body, whichever of the four envelopes they came in (instagram-platform.md 4).

    An item with a number that cannot be stored, or that nests too deep, does not affect the others. Raises
    UnreadableBodyError when the body is no JSON object (or array of them), or odd in this way and without one event.
    """
    envelopes, odd = _json(body)
    items = [item for envelope in envelopes for item in _items(envelope, received_at)]
    if odd and not any(item.event for item in items):
        raise UnreadableBodyError(f"the body {odd}")
    return items


def _json(body: bytes) -> tuple[list[dict[str, Any]], str]:
    """Return the envelopes of a body and what is odd about it. Odd numbers become text, what is too deep is cut."""
    odd: list[str] = []

    def number(written: str, read: Callable[[str], float] = float) -> Any:
        if len(written) <= NUMBER_CHARACTERS and math.isfinite(value := read(written)):
            return value
        odd.append("has a number that cannot be stored")
        return written

    def load(text: str) -> Any:
        return json.loads(text, parse_constant=number, parse_float=number, parse_int=lambda digits: number(digits, int))

    try:
        text = body.decode("utf-8")
        if body.count(b"{") + body.count(b"[") > DEPTH and (shallow := _without_depth(text)) != text:
            odd.append(f"nests deeper than {DEPTH} levels")
            text = shallow
        found = load(text)
    except UnicodeDecodeError:
        raise UnreadableBodyError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise UnreadableBodyError("the body is not JSON") from None
    envelopes = found if isinstance(found, list) else [found]
    if not envelopes or not all(isinstance(envelope, dict) for envelope in envelopes):
        raise UnreadableBodyError("the body is not a JSON object")
    return envelopes, odd[0] if odd else ""


def _without_depth(text: str) -> str:
    kept: list[str] = []
    depth = end = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == DEPTH + 1:
                kept += text[end : token.start()], json.dumps(TOO_DEEP)
        elif token[0] in "]}":
            depth -= 1
            if depth == DEPTH:
                end = token.end()
    return "".join(kept) + (text[end:] if depth <= DEPTH else "")


def _items(envelope: dict[str, Any], received_at: datetime) -> Iterator[WebhookItem]:
    entries = envelope.get("entry")
    if not isinstance(entries, list) or not entries:
        yield WebhookItem(None, None, "unreadable", "the delivery has no entries", envelope)
        return
    for entry in entries:
        if isinstance(entry, dict):
            yield from _entry(envelope, entry, received_at)
        else:
            yield WebhookItem(None, None, "unreadable", "an entry is not an object", _alone(envelope, entry))


def _entry(envelope: dict[str, Any], entry: dict[str, Any], received_at: datetime) -> Iterator[WebhookItem]:
    ig_account_id = ig_id(entry.get("id"))
    entry_at = messaging.time_of(entry.get("time"), received_at)
    told = False
    for name in ("messaging", "standby", "changes"):
        values = entry.get(name)
        if values is None:
            continue
        told = True
        alone = _short(entry, "id", "time")
        for value in values if isinstance(values, list) else [values]:
            yield _item(ig_account_id, name, value, _alone(envelope, alone | {name: [value]}), (received_at, entry_at))
    if "field" in entry:
        told = True
        yield _item(ig_account_id, "changes", entry, _alone(envelope, entry), (received_at, entry_at))
    if not told:
        raw = _alone(envelope, entry)
        yield WebhookItem(ig_account_id, None, "unknown_kind", "the entry holds no direct-message event", raw)


def _alone(envelope: dict[str, Any], entry: Any) -> dict[str, Any]:
    return _short(envelope, "object") | {"entry": [entry]}


def _short(holder: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: holder[name] for name in names if name in holder and len(repr(holder[name])) <= SCALAR_CHARACTERS}


def _item(ig_account_id: str | None, envelope: str, value: Any, raw: dict[str, Any], times: _Times) -> WebhookItem:
    if ig_account_id is None:
        return WebhookItem(None, None, "unreadable", "the entry has no account id", raw)
    try:
        if envelope == "changes":
            event = _change(ig_account_id, value, times)
        else:  # standby: another app owns the thread and this is a copy, shown like any other event
            event = messaging.event(ig_account_id, value, received_at=times[0], entry_at=times[1])
    except UnreadableItemError as error:
        return WebhookItem(ig_account_id, None, error.reason, str(error), raw)
    return WebhookItem(ig_account_id, event, "", "", raw)


def _change(ig_account_id: str, change: object, times: _Times) -> Event:
    field = change.get("field") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(field, str):
        raise UnreadableItemError("unreadable", "a change names no field")
    value = change.get("value")
    if field in MESSAGE_FIELDS or (isinstance(value, dict) and "sender" in value and "recipient" in value):
        return messaging.event(ig_account_id, value, received_at=times[0], entry_at=times[1])
    if field in IGNORED_FIELDS:
        return IgnoredEvent(ig_account_id, times[0], "", field)
    raise UnreadableItemError("unknown_kind", f"a change of the field {clean_name(field)}, which is not known here")
