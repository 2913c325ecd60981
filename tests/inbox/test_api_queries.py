"""Conversations and messages as programs read them; what their doors do with them is in tests/api."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.errors import NotFound
from app.inbox import api_queries
from app.inbox.api_queries import FeedQuery
from app.viewer import OPERATOR, Role, Viewer
from tests.cast import CAMILLE, LEA, RUI, an_account, people_wrote

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))


def test_pages_of_conversations_have_no_gaps_and_no_doubles(app: Flask) -> None:
    an_account()
    people_wrote(LEA, CAMILLE, RUI)
    met, after = [], None
    for _ in range(3):
        found, after = api_queries.conversations(OPERATOR, FeedQuery(), limit=1, after=after)
        met += [each.ig_participant_id for each in found]
    assert (met, after) == ([RUI, CAMILLE, LEA], None)


def test_messages_come_newest_first_and_belong_to_whom_they_belong(app: Flask) -> None:
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
