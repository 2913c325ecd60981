"""What calls bring back cannot be changed by who gets it."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from app.instagram.answers import ConversationPage, Me, Profile, Thread
from app.instagram.usage import UNSAID


@pytest.mark.parametrize(
    "answer",
    [
        Profile("1", "lea.moreau", None, None, {}, UNSAID),
        Thread("t1", ()),
        ConversationPage((), None, UNSAID),
        Me("1", None, None, None, None, UNSAID),
    ],
)
def test_an_answer_stays_as_it_came(answer: Any) -> None:
    for field in fields(answer):
        with pytest.raises(FrozenInstanceError):
            setattr(answer, field.name, "other")
