"""Conversations and messages of the API; its routes are tested in tests/api."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.errors import NotFound
from app.inbox import api_queries
from app.inbox.api_queries import FeedQuery
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    CAMILLE,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    MAISON_LUNE_IGSID,
    RUI,
    an_account,
    people_wrote,
)
from tests.support.webhook_events import deliver, message, react

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))


def test_pages_of_conversations_have_no_gaps_and_no_doubles(app: Flask) -> None:
    an_account()
    people_wrote(LEA, CAMILLE, RUI)
    met, after = [], None
    for _ in range(3):
        found, after = api_queries.conversations(OPERATOR, FeedQuery(), limit=1, after=after)
        met += [each.ig_participant_id for each in found]
    assert (met, after) == ([RUI, CAMILLE, LEA], None)


def test_messages_come_newest_first_with_their_sender(app: Flask) -> None:
    an_account()
    people_wrote(LEA, at=clock.now() - timedelta(minutes=2))
    people_wrote(LEA)
    [lea] = api_queries.conversations(OPERATOR, FeedQuery(), limit=10)[0]
    [newest], place = api_queries.messages(OPERATOR, lea.id, limit=1)
    [oldest], end = api_queries.messages(OPERATOR, lea.id, limit=1, after=place)
    assert newest.sent_at > oldest.sent_at
    assert end is None
    with pytest.raises(NotFound):
        api_queries.messages(ELSEWHERE, lea.id, limit=1)
    with pytest.raises(NotFound):
        api_queries.conversation(ELSEWHERE, lea.id)
    assert api_queries.conversations(ELSEWHERE, FeedQuery(), limit=1) == ([], None)


@pytest.mark.parametrize("own_id", [MAISON_LUNE, MAISON_LUNE_APP_SCOPED, "104000000000777", MAISON_LUNE_IGSID])
def test_a_reaction_of_the_account_is_its_own_under_each_of_its_ids(app: Flask, own_id: str) -> None:
    an_account(ig_page_id="104000000000777")
    deliver(message(), react("❤️"), react("👍", sender=own_id))
    [lea] = api_queries.conversations(OPERATOR, FeedQuery(), limit=1)[0]
    [found] = api_queries.messages(OPERATOR, lea.id, limit=1)[0]
    assert {each.emoji: each.from_account for each in found.reactions} == {"❤️": False, "👍": True}
