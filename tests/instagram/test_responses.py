"""Responses are immutable."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from app.instagram.responses import ConversationListPage, Profile, ReadConversation, TokenOwner
from app.instagram.usage_headers import NO_USAGE


@pytest.mark.parametrize(
    "answer",
    [
        Profile("1", "lea.moreau", None, None, {}, NO_USAGE),
        ReadConversation("t1", ()),
        ConversationListPage((), None, NO_USAGE),
        TokenOwner("1", None, None, None, None, NO_USAGE),
    ],
)
def test_a_response_cannot_be_changed(answer: Any) -> None:
    for field in fields(answer):
        with pytest.raises(FrozenInstanceError):
            setattr(answer, field.name, "other")
