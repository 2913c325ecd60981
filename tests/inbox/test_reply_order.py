"""The list of needed replies: each page begins where the one before it ended."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db.engine import db
from app.inbox import reply_order
from app.inbox.reply_order import Position
from app.models.conversation import Conversation
from app.reply_state import NEEDS_REPLY
from tests.factories import LEA, RUI, an_account, people_wrote
from tests.support.plans import plan_of, reads_a_whole_table

FOUND: Any = select(Conversation.id, Conversation.last_incoming_at, Conversation.needs_reply_since).where(
    Conversation.account_id == 1, NEEDS_REPLY
)


@pytest.mark.parametrize("closed", [None, False, True])
def test_a_page_is_read_along_an_index(app: Flask, closed: bool | None) -> None:
    now = clock.now()
    after = None if closed is None else Position(now - timedelta(hours=2), 7, closed)
    plan = plan_of(next(reply_order.in_order(FOUND.limit(41), after, now=now)))
    assert not reads_a_whole_table(plan)
    assert ("ix_conversations_needs_reply" if closed else "ix_conversations_window") in plan


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_last_page_takes_no_more_steps_than_the_second(app: Flask) -> None:
    """SQLite reports its steps; a page that reads the rows before its cursor takes more, the later it is."""
    account, now = an_account(), clock.now()
    people_wrote(*(f"15200000000{number:05d}" for number in range(400)), at=now - timedelta(hours=1))
    db.session.rollback()
    assert account.id == 1
    steps: list[int] = []
    after: Position | None = None
    for _ in range(10):
        counted = _Steps()
        connection: Any = db.session.connection().connection.dbapi_connection
        connection.set_progress_handler(counted, 1)
        rows = db.session.execute(next(reply_order.in_order(FOUND.limit(40), after, now=now))).all()
        connection.set_progress_handler(None, 1)
        assert len(rows) == 40
        after = reply_order.position_of(rows[-1], now=now)
        steps.append(counted.number)
    assert steps[-1] <= 1.1 * steps[1]


class _Steps:
    """Counts its calls; returns 0, so that SQLite continues."""

    number = 0

    def __call__(self) -> int:
        self.number += 1
        return 0


def test_a_window_that_closes_between_two_pages_is_listed_once(app: Flask) -> None:
    account, now = an_account(), clock.now()
    people_wrote(LEA, at=now - timedelta(hours=25))
    people_wrote(RUI, at=now - timedelta(hours=1))
    of_account = select(Conversation.ig_participant_id).where(Conversation.account_id == account.id, NEEDS_REPLY)
    parts = reply_order.in_order(of_account, Position(now - timedelta(hours=26), 0), now=now)
    assert [who for part in parts for who in db.session.scalars(part)] == [RUI, LEA]
