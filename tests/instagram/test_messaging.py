"""Events of `messaging` items, kind by kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.instagram import messaging, webhook
from app.instagram.events import (
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
from app.instagram.messaging import UnreadableItemError
from tests.factories import LEA, MAISON_LUNE, MAISON_LUNE_IGSID, a_delivery, a_message_event
from tests.instagram.deliveries import NOW, SAMPLES, message, parsed


def event_of(name: str, what: Any, **more: Any) -> Event:
    """Return the event of an item that Léa sends."""
    item = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": 1773134400000, name: what} | more
    return messaging.parse_event(MAISON_LUNE, item, received_at=NOW)


@pytest.mark.parametrize(
    ("name", "what", "kind"),
    [
        ("message", {"mid": "m", "text": "Bonjour"}, MessageSent),
        ("message", {"mid": "m", "is_deleted": True}, MessageUnsent),
        ("message_edit", {"mid": "m", "text": "Bonsoir", "num_edit": 1}, MessageEdited),
        ("message_edit", {"mid": "m", "text": "Bonsoir", "num_edit": "2"}, MessageEdited),
        ("message_edit", {"mid": "m", "num_edit": 0}, MessageAnnounced),
        ("message_edit", {"mid": "m", "text": "Bonsoir", "num_edit": 0}, MessageAnnounced),
        ("reaction", {"mid": "m", "action": "react", "emoji": "❤️"}, ReactionChanged),
        ("read", {"mid": "m"}, MessageSeen),
        ("postback", {"mid": "m", "title": "Commande", "payload": "ORDER"}, MessageSent),
        ("referral", {"ref": "flyer"}, MessageSent),
        ("optin", {"type": "notification_messages"}, MessageSent),
        ("take_thread_control", {"new_owner_app_id": "7"}, MessageSent),
        ("app_roles", {"7": ["primary_receiver"]}, IgnoredEvent),
    ],
)
def test_each_kind_of_item_is_an_event_of_its_kind(name: str, what: dict[str, Any], kind: type) -> None:
    assert type(event_of(name, what)) is kind


def test_an_unsend_and_an_edit_need_no_parties() -> None:
    for item in ({"message": {"mid": "m", "is_deleted": True}}, {"message_edit": {"mid": "m", "num_edit": 0}}):
        assert messaging.parse_event(MAISON_LUNE, item, received_at=NOW).mid == "m"


def test_an_event_without_mid_gets_the_same_mid_each_time() -> None:
    first, again, other = (event_of("referral", {"ref": ref}) for ref in ("flyer", "flyer", "poster"))
    assert first == again
    assert first.mid.startswith("referral:")
    assert first.mid != other.mid


@pytest.mark.parametrize("flag", [{"is_self": True}, {}])
def test_a_message_of_the_account_to_itself_reveals_its_own_id(flag: dict[str, Any]) -> None:
    parties = {"sender": {"id": MAISON_LUNE}, "recipient": {"id": MAISON_LUNE_IGSID if flag else MAISON_LUNE}}
    event = messaging.parse_event(MAISON_LUNE, parties | {"message": {"mid": "m"} | flag}, received_at=NOW)
    assert isinstance(event, SelfMessage)
    assert event.ig_own_id == parties["recipient"]["id"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("text", "unreadable"),
        ({}, "unknown_kind"),
        ({"message": []}, "unreadable"),
        ({"read": {}}, "unreadable"),
        ({"read": {"mid": 7}}, "unreadable"),
        ({"referral": {"ref": "flyer"}}, "unreadable"),
        ({"sparkle": {"mid": "m"}}, "unknown_kind"),
    ],
)
def test_an_item_without_an_event_has_a_reason(item: object, reason: str) -> None:
    with pytest.raises(UnreadableItemError) as refused:
        messaging.parse_event(MAISON_LUNE, item, received_at=NOW)
    assert refused.value.reason == reason
    assert str(refused.value)


def test_a_long_or_hostile_emoji_stays_small() -> None:
    event = event_of("reaction", {"mid": "m", "action": "react", "emoji": "x\u202e" * 50})
    assert isinstance(event, ReactionChanged)
    assert event.emoji == "x"


def test_disappearing_media_have_their_own_kind() -> None:
    event = event_of("message", {"mid": "m", "attachments": [{"type": "ephemeral"}]})
    assert isinstance(event, MessageSent)
    assert event.kind is EventKind.EPHEMERAL


def test_ids_that_come_as_numbers_stay_exact() -> None:
    event = a_message_event() | {"sender": {"id": 9990000000000023}}
    assert message(parsed(event)[0]).ig_sender_id == "9990000000000023"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("1527459824", datetime(2018, 5, 27, 22, 23, 44, tzinfo=UTC)),
        (1773134100, datetime(2026, 3, 10, 9, 15, tzinfo=UTC)),
        (0, NOW),
        (-5, NOW),
        (None, NOW),
        ("soon", NOW),
        (10**30, NOW),
        (int((NOW + timedelta(days=30000)).timestamp() * 1000), NOW),
    ],
)
def test_an_invalid_time_is_replaced(timestamp: object, expected: datetime) -> None:
    event = a_message_event() | {"timestamp": timestamp}
    assert message(parsed(event)[0]).sent_at == expected


def test_attachments_of_unknown_type_become_a_placeholder() -> None:
    event = a_message_event(LEA, None, attachments=[{"type": "hologram", "payload": {"url": 5}}])
    sent = message(parsed(event)[0])
    assert (sent.kind, sent.attachments[0].url) == (EventKind.UNSUPPORTED, None)


def test_a_post_sent_twice_in_one_message_is_one_attachment() -> None:
    body = (SAMPLES / "webhook-attachment-ig-post.json").read_bytes()
    [item] = webhook.parse(body, received_at=NOW)
    assert [(each.kind, each.title) for each in message(item).attachments] == [(EventKind.SHARE, "Spring drop")]


def test_characters_that_cannot_be_stored_are_replaced_in_a_text() -> None:
    body = a_delivery(a_message_event(LEA, "MARK")).replace(b"MARK", b"a\\u0000b\\ud83dc\\u001b[2J")
    [item] = webhook.parse(body, received_at=NOW)
    assert message(item).text == "a�b�c[2J"
