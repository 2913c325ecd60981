"""What a delivery of Meta's says: envelopes become events. Never raises for one bad item; knows no table."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.instagram import messaging
from app.instagram.events import Event, Passed
from app.instagram.ids import ig_id
from app.instagram.messaging import UnreadableItemError

DEPTH = 32
MESSAGE_FIELDS = frozenset(
    {
        *("messages", "message_echoes", "message_edit", "message_reactions", "messaging_seen", "messaging_postbacks"),
        *("messaging_referral", "messaging_optins", "messaging_handover", "standby"),
    }
)  # instagram-platform.md 3
PASSED_FIELDS = frozenset({"comments", "live_comments", "mentions", "story_insights"})  # no direct messages

_Times = tuple[datetime, datetime | None]  # when a delivery was received, and the time of its entry


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
    ig_account_id = ig_id(entry.get("id"))
    entry_at = messaging.time_of(entry.get("time"), received_at)
    told = False
    for name in ("messaging", "standby", "changes"):
        values = entry.get(name)
        if values is None:
            continue
        told = True
        alone = envelope | {"entry": [_without_lists(entry)]}
        for value in values if isinstance(values, list) else [values]:
            raw = alone | {"entry": [alone["entry"][0] | {name: [value]}]}
            yield _item(ig_account_id, name, value, raw, (received_at, entry_at))
    if "field" in entry:
        told = True
        yield _item(ig_account_id, "changes", entry, envelope | {"entry": [entry]}, (received_at, entry_at))
    if not told:
        raw = envelope | {"entry": [entry]}
        yield Item(ig_account_id, None, "unknown_kind", "the entry holds no direct-message event", raw)


def _without_lists(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("messaging", "standby", "changes")}


def _item(ig_account_id: str | None, envelope: str, value: Any, raw: dict[str, Any], times: _Times) -> Item:
    if ig_account_id is None:
        return Item(None, None, "unreadable", "the entry has no account id", raw)
    try:
        if envelope == "changes":
            event = _change(ig_account_id, value, times)
        else:  # standby: another app owns the thread and this is a copy, shown like any other event
            event = messaging.event(ig_account_id, value, received_at=times[0], entry_at=times[1])
    except UnreadableItemError as error:
        return Item(ig_account_id, None, error.reason, str(error), raw)
    return Item(ig_account_id, event, "", "", raw)


def _change(ig_account_id: str, change: object, times: _Times) -> Event:
    field = change.get("field") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(field, str):
        raise UnreadableItemError("unreadable", "a change names no field")
    if field in MESSAGE_FIELDS:
        return messaging.event(ig_account_id, change.get("value"), received_at=times[0], entry_at=times[1])
    if field in PASSED_FIELDS:
        return Passed(ig_account_id, times[0], "", field)
    raise UnreadableItemError("unknown_kind", "a change of a field that is not known here")
