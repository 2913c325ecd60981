"""Dead letters hold the whole event, once, for users who may read it."""

import json
from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import Forbidden, NotFound
from app.ingest import dead_letters
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, LEA, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook

AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)


def deliver(body: bytes) -> None:
    receive_webhook(body)


BODY = a_delivery(a_message_event(LEA, mid="same"), ig_account_id=ATELIER_NORD)


def a_kept_letter() -> int:
    deliver(BODY)
    return int(dead_letters.newest(OPERATOR)[0].id)


def test_a_dead_letter_holds_the_item_as_received(app: Flask) -> None:
    letter = dead_letters.get(OPERATOR, a_kept_letter())
    assert (letter.ig_account_id, letter.reason, letter.account_id) == (ATELIER_NORD, "unknown_account", None)
    assert json.loads(letter.raw) == json.loads(BODY)


def test_the_same_item_again_increments_the_count(app: Flask) -> None:
    first = a_kept_letter()
    assert a_kept_letter() == first
    db.session.expire_all()
    assert dead_letters.get(OPERATOR, first).times == 2
    assert len(dead_letters.newest(OPERATOR)) == 1


def test_the_list_is_limited_and_newest_first(app: Flask) -> None:
    with transaction.write() as tx:
        for number, minutes in enumerate((1, 3, 2)):
            at = clock.now() + timedelta(minutes=minutes)
            dead_letters.keep_body(tx, str(number).encode(), explanation="no object", at=at)
    assert [letter.raw for letter in dead_letters.newest(OPERATOR, limit=2)] == [b"1", b"2"]


def test_an_unreadable_body_is_stored_whole_and_listed_by_its_first_bytes(app: Flask) -> None:
    body = b"\xff" * (4 * 1024 * 1024)
    with transaction.write() as tx:
        dead_letters.keep_body(tx, body, explanation="no JSON", at=clock.now())
    [letter] = dead_letters.newest(OPERATOR)
    assert (letter.raw, letter.size, letter.reason) == (body[: dead_letters.SHOWN_BYTES], len(body), "unreadable")
    assert dead_letters.get(OPERATOR, letter.id).raw == body


def test_agents_may_not_read_dead_letters(app: Flask) -> None:
    letter = a_kept_letter()
    with pytest.raises(Forbidden):
        dead_letters.newest(AGENT)
    with pytest.raises(Forbidden):
        dead_letters.get(AGENT, letter)


def test_dead_letters_of_other_accounts_are_not_found(app: Flask) -> None:
    ours = an_account()
    letter = a_kept_letter()
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({ours.id}))
    assert dead_letters.newest(elsewhere) == []
    with pytest.raises(NotFound):
        dead_letters.get(elsewhere, letter)
    with pytest.raises(NotFound):
        dead_letters.get(OPERATOR, letter + 1)
