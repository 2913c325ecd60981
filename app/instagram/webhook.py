"""Parse webhook deliveries: envelopes become events. One bad item never affects the others."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
)  # docs/meta-platform.md#webhook-subscription
IGNORED_FIELDS = frozenset(
    {
        *("comments", "live_comments", "mentions", "story_insights", "follow", "story_reactions", "share_to_story"),
        *("comment_poll_response", "story_poll_response", "delta", "creator_marketplace_projects"),
        *("creator_marketplace_invited_creator_onboarding", "onboarding_welcome_message_series"),
    }
)  # not about direct messages

_Times = tuple[datetime, datetime | None]  # when a delivery was received, and the time of its entry


class UnreadableBodyError(Exception):
    """A signed body without a readable item; the text says why."""


@dataclass(frozen=True, slots=True)
class WebhookItem:
    """One item of a delivery: its event, or the reason why it has none.

    `raw` is a delivery with this item alone, which can be replayed and does not repeat the rest of the envelope.
    """

    ig_account_id: str | None
    event: Event | None
    reason: str
    explanation: str
    raw: dict[str, Any]

    @property
    def gaps(self) -> tuple[str, ...]:
        """Descriptions of the unknown parts of an item with a known event."""
        return self.event.gaps if isinstance(self.event, MessageSent) else ()


def parse(body: bytes, *, received_at: datetime) -> list[WebhookItem]:
    """Return the items of a signed body in any of the four envelopes (docs/meta-platform.md#envelopes).

    Numbers that cannot be stored become text, and nesting below 32 levels is cut. Raises UnreadableBodyError if the
    body is not a JSON object (or an array of them), or was repaired in this way and has no event.
    """
    envelopes, repair = _parse_json(body)
    items = [item for envelope in envelopes for item in _items(envelope, received_at)]
    if repair and not any(item.event for item in items):
        raise UnreadableBodyError(f"the body {repair}")
    return items


def _parse_json(body: bytes) -> tuple[list[dict[str, Any]], str]:
    """Return the envelopes of a body and a description of what was repaired, empty if nothing."""
    repairs: list[str] = []

    def number(literal: str, convert: Callable[[str], float] = float) -> Any:
        if len(literal) <= NUMBER_CHARACTERS and math.isfinite(value := convert(literal)):
            return value
        repairs.append("has a number that cannot be stored")
        return literal

    def load(text: str) -> Any:
        return json.loads(text, parse_constant=number, parse_float=number, parse_int=lambda digits: number(digits, int))

    try:
        text = body.decode("utf-8")
        if body.count(b"{") + body.count(b"[") > DEPTH and (shallow := _cut_depth(text)) != text:
            repairs.append(f"nests deeper than {DEPTH} levels")
            text = shallow
        found = load(text)
    except UnicodeDecodeError:
        raise UnreadableBodyError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise UnreadableBodyError("the body is not JSON") from None
    envelopes = found if isinstance(found, list) else [found]
    if not envelopes or not all(isinstance(envelope, dict) for envelope in envelopes):
        raise UnreadableBodyError("the body is not a JSON object")
    return envelopes, repairs[0] if repairs else ""


def _cut_depth(text: str) -> str:
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
            yield WebhookItem(None, None, "unreadable", "an entry is not an object", _single_entry(envelope, entry))


def _entry(envelope: dict[str, Any], entry: dict[str, Any], received_at: datetime) -> Iterator[WebhookItem]:
    ig_account_id = ig_id(entry.get("id"))
    entry_at = messaging.time_of(entry.get("time"), received_at)
    found = False
    for name in ("messaging", "standby", "changes"):
        values = entry.get(name)
        if values is None:
            continue
        found = True
        shared = _short_fields(entry, "id", "time")
        for value in values if isinstance(values, list) else [values]:
            yield _item(
                ig_account_id, name, value, _single_entry(envelope, shared | {name: [value]}), (received_at, entry_at)
            )
    if "field" in entry:
        found = True
        yield _item(ig_account_id, "changes", entry, _single_entry(envelope, entry), (received_at, entry_at))
    if not found:
        raw = _single_entry(envelope, entry)
        yield WebhookItem(ig_account_id, None, "unknown_kind", "the entry contains no messaging event", raw)


def _single_entry(envelope: dict[str, Any], entry: Any) -> dict[str, Any]:
    return _short_fields(envelope, "object") | {"entry": [entry]}


def _short_fields(holder: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: holder[name] for name in names if name in holder and len(repr(holder[name])) <= SCALAR_CHARACTERS}


def _item(ig_account_id: str | None, envelope: str, value: Any, raw: dict[str, Any], times: _Times) -> WebhookItem:
    if ig_account_id is None:
        return WebhookItem(None, None, "unreadable", "the entry has no account ID", raw)
    try:
        if envelope == "changes":
            event = _change(ig_account_id, value, times)
        else:
            event = messaging.parse_event(ig_account_id, value, received_at=times[0], entry_at=times[1])
            if envelope == "standby" and isinstance(event, MessageSent):
                event = replace(event, standby=True)
    except UnreadableItemError as error:
        return WebhookItem(ig_account_id, None, error.reason, str(error), raw)
    return WebhookItem(ig_account_id, event, "", "", raw)


def _change(ig_account_id: str, change: object, times: _Times) -> Event:
    field = change.get("field") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(field, str):
        raise UnreadableItemError("unreadable", "the change has no field name")
    value = change.get("value")
    if field in MESSAGE_FIELDS or (isinstance(value, dict) and "sender" in value and "recipient" in value):
        return messaging.parse_event(ig_account_id, value, received_at=times[0], entry_at=times[1])
    if field in IGNORED_FIELDS:
        return IgnoredEvent(ig_account_id, times[0], "", field)
    raise UnreadableItemError("unknown_kind", f"unknown webhook field {clean_name(field)}")
