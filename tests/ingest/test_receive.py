"""Receive one delivery end to end: stored rows, status codes, and unavailable servers."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock, queue, redis_client, settings
from app.db.engine import db
from app.errors import Unavailable
from app.inbox import api_queries
from app.inbox.thread import open_thread
from app.ingest import event_handlers, group_commit, receive
from app.ingest.receive import DeliveryResult
from app.models.conversation import Conversation, Message
from app.models.ingest import DeadLetter
from app.viewer import OPERATOR
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    a_delivery,
    a_message_event,
    an_account,
    an_echo_event,
)
from tests.support import snapshot
from tests.support.webhooks import receive_webhook


def deliver(body: bytes) -> DeliveryResult:
    return receive_webhook(body)


def conversations() -> list[Conversation]:
    db.session.expire_all()
    return list(db.session.scalars(select(Conversation).order_by(Conversation.last_message_at.desc(), Conversation.id)))


def count(model: Any) -> int:
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def test_a_message_becomes_a_conversation_with_one_unread(app: Flask) -> None:
    account = an_account()
    assert deliver(a_delivery(a_message_event(LEA, "Bonjour"))) == DeliveryResult(200, stored=1)
    [conversation] = conversations()
    assert (conversation.account_id, conversation.ig_participant_id) == (account.id, LEA)
    assert (conversation.unread_count, conversation.last_message_preview, conversation.known) == (1, "Bonjour", False)


def test_ids_that_come_as_json_numbers_are_stored_as_strings(app: Flask) -> None:
    account = an_account()
    event = a_message_event(LEA, "Bonjour") | {"sender": {"id": int(LEA)}, "recipient": {"id": int(MAISON_LUNE)}}
    body = a_delivery(event).replace(f'"id": "{MAISON_LUNE}"'.encode(), f'"id": {MAISON_LUNE}'.encode())
    assert b'"id": "' not in body
    assert deliver(body) == DeliveryResult(200, stored=1)
    [conversation] = conversations()
    assert (conversation.account_id, conversation.ig_participant_id) == (account.id, LEA)


def test_an_echo_is_outgoing_even_without_the_flag(app: Flask) -> None:
    an_account()
    deliver(a_delivery(a_message_event(MAISON_LUNE, "Avec plaisir", recipient=LEA)))
    [conversation] = conversations()
    assert (conversation.ig_participant_id, conversation.unread_count) == (LEA, 0)
    assert conversation.last_message_outgoing
    assert db.session.scalars(select(Message)).one().outgoing


def test_a_wrong_signature_stores_nothing(app: Flask) -> None:
    an_account()
    assert receive.receive_delivery(a_delivery(a_message_event()), "sha256=" + "0" * 64) == DeliveryResult(401)
    assert (count(Message), count(DeadLetter)) == (0, 0)


def at_once(app: Flask, body: bytes) -> list[int]:
    """Deliver `body` twenty times concurrently; return the results."""
    answers: list[int] = []

    def post() -> None:
        with app.app_context():
            answers.append(deliver(body).status)

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_same_body_delivered_repeatedly_and_concurrently_is_stored_once(app: Flask) -> None:
    an_account()
    body = a_delivery(a_message_event(LEA, "une fois"), a_message_event(LEA, "deux"), an_echo_event(LEA))
    answers = [deliver(body).status]
    before = snapshot.tables()
    answers += at_once(app, body)
    answers += [deliver(body).status for _ in range(100)]
    assert answers == [200] * 121
    assert snapshot.tables() == before
    assert count(Message) == 3
    assert conversations()[0].arrival_count == 2


def test_the_same_first_body_delivered_concurrently_is_stored_once(app: Flask) -> None:
    an_account()
    body = a_delivery(a_message_event(LEA, "une fois"), a_message_event(LEA, "deux"), an_echo_event(LEA))
    assert at_once(app, body) == [200] * 20
    assert (count(Message), count(DeadLetter)) == (3, 0)
    assert conversations()[0].arrival_count == 2


def test_an_older_message_never_becomes_the_preview(app: Flask) -> None:
    an_account()
    deliver(a_delivery(a_message_event(LEA, "nouveau", at_ms=1773134200000)))
    deliver(a_delivery(a_message_event(LEA, "ancien", at_ms=1773134100000)))
    [conversation] = conversations()
    assert (conversation.last_message_preview, conversation.unread_count) == ("nouveau", 2)
    assert conversation.first_message_at.timestamp() == 1773134100


def test_list_thread_and_api_agree_which_of_two_simultaneous_messages_is_newer(app: Flask) -> None:
    an_account()
    one_moment: dict[str, Any] = {"at_ms": 1773134200000}
    deliver(a_delivery(a_message_event(LEA, "first", mid="m_zz", **one_moment)))
    deliver(a_delivery(a_message_event(LEA, "second", mid="m_aa", **one_moment)))
    pair = [a_message_event(CAMILLE, text, mid=f"m_{9 - place}", **one_moment) for place, text in enumerate("ab")]
    deliver(a_delivery(*pair))
    for conversation, newest in zip(conversations(), ("second", "b"), strict=True):
        runs = [run for day in open_thread(OPERATOR, conversation.id).days for run in day.runs]
        found, _ = api_queries.messages(OPERATOR, conversation.id, limit=1)
        shown = (conversation.last_message_preview, runs[-1].messages[-1].text, found[0].text)
        assert shown == (newest, newest, newest)
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": 1773134300000}
    deliver(a_delivery(parties | {"message": {"mid": "m_aa", "is_deleted": True}}))
    assert conversations()[0].last_message_kind == "unsent"


def test_an_event_of_an_unknown_account_becomes_a_dead_letter(app: Flask) -> None:
    assert deliver(a_delivery(a_message_event())) == DeliveryResult(200, dead_letters=1)
    letter = db.session.scalars(select(DeadLetter)).one()
    assert (letter.reason, letter.ig_account_id, letter.account_id) == ("unknown_account", MAISON_LUNE, None)


def test_a_signed_body_that_is_no_json_is_kept_and_answered_400(app: Flask) -> None:
    assert deliver(b"not json at all") == DeliveryResult(400, dead_letters=1)
    assert db.session.scalars(select(DeadLetter)).one().raw == b"not json at all"


def test_the_same_dead_letter_twice_only_counts_up(app: Flask) -> None:
    body = a_delivery(a_message_event())
    deliver(body)
    deliver(body)
    assert db.session.scalars(select(DeadLetter)).one().times == 2


def test_an_item_may_touch_only_the_account_of_its_own_entry(app: Flask) -> None:
    an_account()
    an_account(ATELIER_NORD)
    deliver(a_delivery(a_message_event(LEA, "à eux", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD))
    before = snapshot.tables(but=("dead_letters",))
    foreign = (
        a_message_event(LEA, "pour un autre", recipient=ATELIER_NORD),
        a_message_event(ATELIER_NORD, "de leur part", recipient=LEA),
        an_echo_event(LEA, "de leur part", sender=ATELIER_NORD),
        {"sender": {"id": LEA}, "recipient": {"id": ATELIER_NORD}, "read": {"mid": "never"}, "timestamp": 1},
    )
    assert deliver(a_delivery(*foreign[:3])).dead_letters == 3
    deliver(a_delivery(foreign[3]))
    assert snapshot.tables(but=("dead_letters", "pending_message_updates", "accounts")) == {
        name: rows for name, rows in before.items() if name not in ("pending_message_updates", "accounts")
    }
    assert set(db.session.scalars(select(DeadLetter.reason))) == {"misaddressed"}


def test_a_batch_for_two_accounts_is_stored_for_both(app: Flask) -> None:
    an_account()
    an_account(ATELIER_NORD)
    entries = [
        json.loads(a_delivery(a_message_event(LEA)))["entry"][0],
        json.loads(a_delivery(a_message_event(LEA, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD))["entry"][0],
    ]
    deliver(json.dumps({"object": "instagram", "entry": entries}).encode())
    assert len({conversation.account_id for conversation in conversations()}) == 2


def test_more_items_than_a_chunk_are_all_stored(app: Flask) -> None:
    an_account()
    events = [a_message_event(LEA, f"message {number}") for number in range(group_commit.MAX_ITEMS * 2 + 1)]
    assert deliver(a_delivery(*events)) == DeliveryResult(200, stored=len(events))
    assert conversations()[0].unread_count == len(events)


def test_only_the_event_that_raises_an_error_becomes_a_dead_letter(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    an_account()
    real = event_handlers.handle

    def breaking(tx: Any, account: Any, event: Any, **known: Any) -> bool:
        if event.text == "poison":
            raise ZeroDivisionError
        return real(tx, account, event, **known)

    monkeypatch.setattr(event_handlers, "handle", breaking)
    body = a_delivery(a_message_event(LEA, "avant"), a_message_event(LEA, "poison"), a_message_event(CAMILLE, "après"))
    assert deliver(body) == DeliveryResult(200, stored=2, dead_letters=1)
    assert count(Message) == 2
    assert db.session.scalars(select(DeadLetter)).one().reason == "fault"


def test_a_commit_queues_one_task_per_account(app: Flask, redis: Redis) -> None:
    an_account()
    deliver(a_delivery(a_message_event(LEA), a_message_event(CAMILLE)))
    deliver(a_delivery(a_message_event(LEA)))
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_a_message_is_stored_while_redis_is_unavailable(app: Flask, tmp_path: Path) -> None:
    an_account()
    with settings.using(redis_url=f"unix://{tmp_path / 'nothing.sock'}?db=0"):
        assert deliver(a_delivery(a_message_event(LEA))) == DeliveryResult(200, stored=1)
        assert isinstance(redis_client.client(), Redis)
    assert count(Message) == 1


def test_a_delivery_raises_unavailable_without_a_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    an_account()
    db.session.remove()
    db.engine.dispose()
    # SQLAlchemy offers no public way to replace what a pool connects with.
    monkeypatch.setattr(db.engine.pool, "_creator", _refused)
    with pytest.raises(Unavailable):
        deliver(a_delivery(a_message_event(LEA)))


def _refused(*_args: object) -> None:
    import sqlite3

    import psycopg

    raise sqlite3.OperationalError("unable to open") if db.engine.dialect.name == "sqlite" else psycopg.OperationalError


def test_refused_deliveries_are_counted_and_logged_once_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    began = clock.monotonic() + 10  # later than any refusal of another test
    seconds = iter([began, began + 0.2, began + 0.9, began + 1.1])
    monkeypatch.setattr(clock, "monotonic", lambda: next(seconds))
    first = receive.count_refused()
    assert [receive.count_refused() for _ in range(3)] == [first + 1, first + 2, first + 3]
    logged = [vars(record)["refused"] for record in caplog.records]
    assert logged == [first, first + 3]
