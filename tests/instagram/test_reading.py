"""Conversations as the API tells them: the samples, and what has no details."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.instagram import reading
from app.instagram.errors import CallFailed
from app.instagram.events import Kind

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"graph-{name}.json").read_text())["body"]


def test_a_conversation_has_participants_and_its_newest_messages() -> None:
    first = reading.thread(sample("conversations-page1")["data"][0])
    assert {person for person, _ in first.participants} == {"17841400000000101", "1520000000000011"}
    [message] = first.messages
    assert (message.text, message.ig_sender_id) == ("second, sent later", "1520000000000011")
    assert message.sent_at.isoformat() == "2026-03-10T09:20:05+00:00"


def test_media_are_told_by_their_kind() -> None:
    thread = reading.thread(sample("conversation-messages") | {"id": "t"})
    kinds = [[attachment.kind for attachment in message.attachments] for message in thread.messages]
    assert kinds[0] == []
    assert kinds[1] == [Kind.IMAGE]
    assert thread.messages[1].text is None


@pytest.mark.parametrize(
    "item",
    [
        {"id": "m", "created_time": "2026-03-10T09:20:05+0000"},
        {"id": "m", "from": {"id": "1"}, "to": {"data": [{"id": "2"}]}},
        {
            "id": "m",
            "created_time": "2026-03-10T09:20:05+0000",
            "from": {"id": "1"},
            "to": {"data": [{"id": "2"}, {"id": "3"}]},
        },
    ],
)
def test_a_message_without_details_or_to_a_group_is_left_out(item: dict[str, Any]) -> None:
    assert reading.thread({"id": "t", "messages": {"data": [item]}}).messages == ()


@pytest.mark.parametrize("item", [{}, {"id": 7}, {"id": "t", "participants": []}, {"id": "t", "updated_time": "now"}])
def test_what_is_not_as_documented_is_a_bad_answer(item: dict[str, Any]) -> None:
    with pytest.raises(CallFailed):
        reading.thread(item)
