"""Webhook deliveries: envelopes and hostile bodies."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.instagram import webhook
from app.instagram.events import EventKind
from app.instagram.webhook import UnreadableBodyError
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_delivery, a_message_event
from tests.instagram.deliveries import NOW, message, parsed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe{\x00}\x00",
        b"[]",
        b"null",
        b"3",
        b'"text"',
        b'{"entry": NaN}',
        b'{"entry": 1e400}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        '{"é": 1}'.encode("latin-1"),
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_a_body_that_is_not_a_json_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        webhook.parse(body, received_at=NOW)


def test_a_text_message_is_read_with_its_own_time() -> None:
    sent = message(parsed(a_message_event(LEA, "Bonjour", at_ms=1773134100123))[0])
    assert (sent.ig_account_id, sent.ig_sender_id, sent.ig_recipient_id) == (MAISON_LUNE, LEA, MAISON_LUNE)
    assert (sent.kind, sent.text) == (EventKind.TEXT, "Bonjour")
    assert sent.sent_at == datetime(2026, 3, 10, 9, 15, 0, 123000, tzinfo=UTC)


def test_the_changes_envelope_carries_the_same_message() -> None:
    value = a_message_event(LEA, "par changes")
    body = {"entry": [{"id": MAISON_LUNE, "changes": [{"field": "messages", "value": value}]}]}
    [item] = webhook.parse(json.dumps(body).encode(), received_at=NOW)
    assert message(item).text == "par changes"


def test_a_top_level_array_is_tolerated() -> None:
    body = b"[" + a_delivery(a_message_event()) + b"]"
    assert len(webhook.parse(body, received_at=NOW)) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("not an object", "unreadable"),
        ({"message": {"mid": "m", "text": "no parties"}}, "unreadable"),
        (a_message_event() | {"sender": {"id": "<b>"}}, "unreadable"),
        (a_message_event(mid="m" * 600), "unreadable"),
        ({"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "sparkle": {"mid": "m"}}, "unknown_kind"),
        ({"read": {"mid": "m"}}, "unreadable"),
        ({"sender": {"id": LEA}, "reaction": {"action": "react"}}, "unreadable"),
        ({"message_edit": "m"}, "unreadable"),
    ],
)
def test_a_bad_item_has_a_reason_and_affects_no_other(event: Any, reason: str) -> None:
    items = parsed(event, a_message_event(CAMILLE, "voisine"))
    assert [item.reason for item in items] == [reason, ""]
    assert message(items[1]).text == "voisine"


def test_the_raw_copy_of_an_item_parses_to_the_same_item() -> None:
    for item in parsed(a_message_event(LEA, "un"), {"read": {"mid": "m"}}):
        [again] = webhook.parse(json.dumps(item.raw).encode(), received_at=NOW)
        assert (again.event, again.reason) == (item.event, item.reason)
