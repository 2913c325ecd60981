"""Replay of dead letters: processed ones are deleted, oldest first."""

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.engine import db
from app.errors import NotFound
from app.ingest import dead_letters, replay
from app.ingest.replay import Replayed
from app.models.conversation import Conversation, Message
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, LEA, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook


def deliver(body: bytes) -> None:
    receive_webhook(body)


def a_letter(text: str, mid: str) -> None:
    deliver(a_delivery(a_message_event(LEA, text, recipient=ATELIER_NORD, mid=mid), ig_account_id=ATELIER_NORD))


def letters() -> int:
    db.session.expire_all()
    return dead_letters.count(OPERATOR)


def test_events_of_an_unknown_account_are_stored_once_it_is_connected(app: Flask) -> None:
    a_letter("first", "a")
    a_letter("second", "b")
    an_account(ATELIER_NORD)
    assert replay.replay_all(OPERATOR) == Replayed(processed=2, failed=0)
    assert letters() == 0
    assert set(db.session.scalars(select(Message.text))) == {"first", "second"}
    assert db.session.scalars(select(Conversation.unread_count)).one() == 2


def test_a_dead_letter_that_fails_again_stays(app: Flask) -> None:
    a_letter("first", "a")
    deliver(b"not json")
    assert replay.replay_all(OPERATOR) == Replayed(processed=0, failed=2)
    assert letters() == 2


def test_one_is_replayed_alone(app: Flask) -> None:
    a_letter("first", "a")
    a_letter("second", "b")
    an_account(ATELIER_NORD)
    first = dead_letters.newest(OPERATOR)[1].id
    assert replay.replay_one(OPERATOR, first) == Replayed(processed=1, failed=0)
    assert db.session.scalars(select(Message.text)).all() == ["first"]
    with pytest.raises(NotFound):
        replay.replay_one(OPERATOR, first)


def test_dead_letters_of_other_accounts_are_not_replayed(app: Flask) -> None:
    a_letter("first", "a")
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))
    assert replay.replay_all(elsewhere) == Replayed(processed=0, failed=0)
    with pytest.raises(NotFound):
        replay.replay_one(elsewhere, dead_letters.newest(OPERATOR)[0].id)
