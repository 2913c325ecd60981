"""Conversations of the Conversations API: samples, elements without details, unreadable elements."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.instagram import conversation_parser
from app.instagram.errors import GraphAPIError
from app.instagram.events import Attachment, EventKind
from app.instagram.responses import ReadConversation, Skipped

SAMPLES = Path(__file__).parents[1] / "samples"
LENA, SHOP = "1520000000000011", "17841400000000101"
MESSAGE = {"id": "m", "created_time": "2026-03-10T09:20:05+0000", "from": {"id": LENA}, "to": {"data": [{"id": SHOP}]}}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"graph-{name}.json").read_text())["body"]


def read(*items: Any) -> tuple[tuple[ReadConversation, ...], list[tuple[str, str | None, str | None]]]:
    """Return the conversations of a page, and (kind, ID, conversation) of each skipped element."""
    threads, skipped = conversation_parser.parse_conversations({"data": list(items)})
    return threads, [(each.kind, each.id, each.conversation) for each in skipped]


def a_conversation(*, messages: Any = (), **changes: Any) -> dict[str, Any]:
    people = [{"id": LENA, "username": "lena.moreau"}, {"id": SHOP}]
    return {"id": "t", "participants": {"data": people}, "messages": {"data": list(messages)}} | changes


def test_a_conversation_has_participants_and_its_newest_messages() -> None:
    (first, *_), skipped = read(*sample("conversations-page1")["data"])
    assert {person for person, _ in first.participants} == {SHOP, LENA}
    [message] = first.messages
    assert (message.text, message.ig_sender_id) == ("second, sent later", LENA)
    assert (message.sent_at.isoformat(), skipped) == ("2026-03-10T09:20:05+00:00", [])


def test_each_message_of_the_sample_has_its_kind_and_link() -> None:
    [thread], skipped = read(sample("conversation-messages") | {"id": "t"})
    kinds = [[attachment.kind for attachment in message.attachments] for message in thread.messages]
    assert kinds == [
        [],
        [EventKind.IMAGE],
        [EventKind.VIDEO],
        [],
        [EventKind.STORY_MENTION],
        [EventKind.SHARE],
        [],
        [],
        [],
    ]
    assert all(attachment.url for message in thread.messages for attachment in message.attachments)
    assert (thread.messages[1].text, skipped) == (None, [])


def test_a_story_reply_refers_to_the_story_as_a_webhook_does_and_a_mention_has_its_link() -> None:
    [thread], _ = read(sample("conversation-messages") | {"id": "t"})
    reply, mention = thread.messages[3:5]
    webhook = json.loads((SAMPLES / "webhook-story-reply.json").read_text())
    delivered = webhook["entry"][0]["messaging"][0]["message"]
    assert reply.context == {"reply_to": delivered["reply_to"]}
    assert (reply.text, reply.attachments) == (delivered["text"], ())
    assert mention.attachments[0].url is not None
    assert "asset_id=18000000000000011" in mention.attachments[0].url


@pytest.mark.parametrize(
    ("story", "attachments", "context"),
    [
        ({"link": "https://a/1", "id": "3"}, (Attachment(EventKind.STORY, "https://a/1"),), {}),
        ({"reply_to": {"id": 3}}, (), {"reply_to": {"story": {"id": "3"}}}),
        ({"mention": {"id": "3"}}, (Attachment(EventKind.STORY_MENTION),), {}),
    ],
)
def test_a_story_without_link_or_in_another_shape_is_kept(story: Any, attachments: Any, context: Any) -> None:
    [thread], _ = read(a_conversation(messages=[MESSAGE | {"story": story}]))
    assert (thread.messages[0].attachments, thread.messages[0].context) == (attachments, context)


@pytest.mark.parametrize(
    "item",
    [
        {"id": "m", "created_time": "2026-03-10T09:20:05+0000"},
        MESSAGE | {"to": {"data": [{"id": "2"}, {"id": "3"}]}},
    ],
)
def test_a_message_without_details_or_to_a_group_is_left_out(item: dict[str, Any]) -> None:
    [thread], skipped = read(a_conversation(messages=[item]))
    assert (thread.messages, skipped) == ((), [])


@pytest.mark.parametrize(
    "item",
    [
        None,
        MESSAGE | {"id": ""},
        MESSAGE | {"id": "x" * 513},
        MESSAGE | {"from": {"username": "gone.user"}},
        MESSAGE | {"from": {"id": 2**63}},
        MESSAGE | {"to": {"data": [{"username": "gone.user"}]}},
        MESSAGE | {"to": None},
        MESSAGE | {"created_time": None},
        MESSAGE | {"created_time": "yesterday"},
        MESSAGE | {"created_time": "2026-03-10T09:20:05"},
        MESSAGE | {"message": 7},
        MESSAGE | {"attachments": {"data": ["x"]}},
    ],
)
def test_a_message_that_cannot_be_read_is_skipped_and_the_next_one_read(item: Any) -> None:
    [thread], skipped = read(a_conversation(messages=[item, MESSAGE | {"id": "next"}]))
    known = item["id"] if item and 0 < len(item["id"]) < 513 else None
    assert ([message.mid for message in thread.messages], skipped) == (["next"], [("message", known, "t")])


def test_numeric_ids_are_the_same_ids_as_strings() -> None:
    numbered = MESSAGE | {"id": 7, "from": {"id": int(LENA)}, "to": {"data": [{"id": int(SHOP)}]}}
    people = {"data": [{"id": int(LENA)}, {"id": 2**63 - 1}]}
    [thread], skipped = read(a_conversation(messages=[numbered], id=5, participants=people))
    [message] = thread.messages
    assert (message.mid, message.ig_sender_id, message.ig_recipient_id) == ("7", LENA, SHOP)
    assert (thread.ig_conversation_id, skipped) == ("5", [])
    assert [person for person, _ in thread.participants] == [LENA, str(2**63 - 1)]


@pytest.mark.parametrize("time", ["2026-03-10T09:20:05.250+0000", "2026-03-10T09:20:05.250Z"])
def test_a_time_with_a_fraction_is_read(time: str) -> None:
    [thread], _ = read(a_conversation(messages=[MESSAGE | {"created_time": time}]))
    assert thread.messages[0].sent_at.isoformat() == "2026-03-10T09:20:05.250000+00:00"


@pytest.mark.parametrize("person", [None, {"username": "noid"}, {"id": True}, {"id": -1}, {"id": 2**63}, {"id": 1.5}])
def test_a_participant_without_a_usable_id_is_skipped_and_the_others_are_read(person: Any) -> None:
    [thread], skipped = read(a_conversation(participants={"data": [person, {"id": LENA}]}))
    assert thread.participants == ((LENA, None),)
    assert skipped[0][::2] == ("participant", "t")


@pytest.mark.parametrize(
    "item", [None, "t", {}, {"id": None}, a_conversation(participants=[]), {"id": "t", "messages": []}]
)
def test_a_conversation_that_cannot_be_read_is_skipped_and_the_others_are_read(item: Any) -> None:
    threads, skipped = read(item, a_conversation(id="good"))
    known = item.get("id") if isinstance(item, dict) else None
    assert ([each.ig_conversation_id for each in threads], skipped) == (["good"], [("conversation", known, known)])


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}])
def test_a_page_without_a_list_is_a_bad_answer(body: dict[str, Any]) -> None:
    with pytest.raises(GraphAPIError):
        conversation_parser.parse_conversations(body)


def test_a_skipped_element_has_a_reason() -> None:
    _, skipped = conversation_parser.parse_conversations({"data": [{"id": "t", "participants": []}]})
    assert skipped == (Skipped("conversation", "t", "t", conversation_parser.UNREADABLE),)
