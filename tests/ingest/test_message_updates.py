"""Message updates give the same state in any order, number and batches."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.db import transaction
from app.db.engine import db
from app.inbox import thread
from app.ingest import event_handlers
from app.instagram.events import EventKind, MessageSent
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.ingest import DeadLetter, PendingMessageUpdate
from app.viewer import OPERATOR
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, a_delivery, an_account
from tests.support.webhook_events import (
    NOON_MS,
    Event,
    about,
    deliver,
    echo,
    edit,
    message,
    react,
    seen,
    the_message,
    unsend,
)
from tests.support.webhooks import receive_webhook


def the_conversation() -> Conversation:
    return db.session.scalars(select(Conversation)).one()


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def both_orders(first: Event, second: Event) -> list[tuple[Event, ...]]:
    return [(first, second), (second, first)]


@pytest.mark.parametrize("events", both_orders(message(), unsend()))
def test_an_unsent_message_keeps_no_content(account: Account, events: tuple[Event, ...]) -> None:
    for event in events:
        deliver(event)
    unsent = the_message()
    assert (unsent.kind, unsent.text, unsent.attachments, unsent.context) == (EventKind.UNSENT, None, None, None)
    conversation = the_conversation()
    assert (conversation.last_message_kind, conversation.last_message_preview) == (EventKind.UNSENT, None)
    assert conversation.unread_count == 0


def test_an_unsend_leaves_read_state_and_other_messages_alone(account: Account) -> None:
    deliver(message("old"), message("new", minute=1))
    thread.mark_read(OPERATOR, the_conversation().id)
    deliver(message("newest", minute=2), unsend("old"))
    conversation = the_conversation()
    assert (conversation.unread_count, conversation.last_message_mid) == (1, "newest")
    assert conversation.last_message_preview == "Bonjour"


def test_an_unsend_of_history_leaves_the_unread_count_alone(account: Account) -> None:
    with transaction.write() as tx:
        addressee = event_handlers.find_recipient(tx, MAISON_LUNE)
        assert addressee
        long_ago = account.connected_at - timedelta(days=1)
        synced = MessageSent(MAISON_LUNE, LEA, MAISON_LUNE, long_ago, "history", EventKind.TEXT, "Bonjour", (), {})
        event_handlers.handle_in_savepoint(tx, addressee, synced, from_sync=True)
    db.session.expire_all()
    assert the_conversation().unread_count == 0
    deliver(message("new"), unsend("history"))
    assert the_conversation().unread_count == 1


def test_an_unsend_deletes_the_dead_letter_with_its_text(account: Account) -> None:
    deliver(message(text="misaddressed and secret") | {"recipient": {"id": ATELIER_NORD}})
    assert db.session.scalars(select(DeadLetter)).one()
    deliver(unsend())
    assert db.session.scalars(select(DeadLetter)).all() == []


def test_the_text_of_an_edit_is_deleted_with_its_unsent_message(account: Account) -> None:
    deliver(edit("a secret"), react("❤️"), unsend(), edit("another secret", 2))
    assert [row.kind for row in db.session.scalars(select(PendingMessageUpdate))] == ["MessageUnsent"]


@pytest.mark.parametrize("events", both_orders(message(), edit("Bonsoir")))
def test_an_edit_changes_text_and_preview(account: Account, events: tuple[Event, ...]) -> None:
    for event in events:
        deliver(event)
    assert (the_message().text, the_message().edit_number) == ("Bonsoir", 1)
    assert the_conversation().last_message_preview == "Bonsoir"


def test_the_edit_with_the_highest_number_wins(account: Account) -> None:
    deliver(message(), edit("second", 2), edit("first", 1))
    assert the_message().text == "second"


@pytest.mark.parametrize("number", [0, "0", None, "x"])
def test_an_edit_number_zero_makes_no_message_and_changes_none(account: Account, number: object) -> None:
    announced = about("message_edit", {"mid": "m", "num_edit": number})
    deliver(announced)
    assert db.session.scalars(select(Message)).all() == []
    deliver(message(), announced)
    assert the_message().text == "Bonjour"
    assert db.session.scalars(select(PendingMessageUpdate)).all() == []


@pytest.mark.parametrize("events", both_orders(message(), react("❤️")))
def test_a_reaction_is_on_its_message(account: Account, events: tuple[Event, ...]) -> None:
    for event in events:
        deliver(event)
    assert {who: each["emoji"] for who, each in (the_message().reactions or {}).items()} == {LEA: "❤️"}


def test_the_newest_reaction_of_a_contact_counts_and_can_be_removed(account: Account) -> None:
    deliver(message(), react(None, minute=8), react("❤️", minute=6), react("👍", sender=CAMILLE))
    assert {who: each["emoji"] for who, each in (the_message().reactions or {}).items()} == {LEA: None, CAMILLE: "👍"}


@pytest.mark.parametrize(("content", "shown"), [({"reaction": "love"}, "❤️"), ({"reaction": "other"}, "•"), ({}, "•")])
def test_a_reaction_without_its_character_is_shown_by_its_name(account: Account, content: Event, shown: str) -> None:
    deliver(message(), about("reaction", {"mid": "m", "action": "react"} | content))
    assert (the_message().reactions or {})[LEA]["emoji"] == shown


@pytest.mark.parametrize("events", both_orders(echo("ours", minute=2), seen("ours")))
def test_messages_are_seen_up_to_the_one_that_was_read(account: Account, events: tuple[Event, ...]) -> None:
    deliver(echo("earlier"))
    for event in events:
        deliver(event)
    deliver(seen("earlier", minute=8))
    conversation = the_conversation()
    assert conversation.seen_until == the_message("ours").sent_at
    assert conversation.seen_at is not None
    assert conversation.seen_at.timestamp() * 1000 == NOON_MS + 7 * 60_000


def test_updates_of_one_account_never_affect_another(account: Account) -> None:
    an_account(ATELIER_NORD)
    deliver(message())
    body = a_delivery(unsend(), ig_account_id=ATELIER_NORD)
    receive_webhook(body)
    db.session.expire_all()
    assert the_message().text == "Bonjour"


EVERYTHING = (
    *(message("m", minute=0), message("n", "Deuxième", minute=1), echo("o", minute=2), message("p", minute=3)),
    *(unsend("n"), edit("Bonsoir", 1), edit("Bonne nuit", 2), edit("trop tard", 1, "n"), edit("perdu", 1, "never")),
    *(react("❤️"), react(None, minute=8), react("👍", "o"), react("😂", "n"), react("😮", sender=CAMILLE)),
    *(seen("o"), seen("m", minute=8), unsend("gone"), about("message_edit", {"mid": "p", "num_edit": 0})),
    about("postback", {"mid": "q", "title": "Où est ma commande ?", "payload": "ORDER"}, minute=4),
    about("referral", {"ref": "flyer", "source": "SHORTLINK", "type": "OPEN_THREAD"}, minute=4),
    about("pass_thread_control", {"new_owner_app_id": "7"}, minute=11),
)


def state() -> str:
    """Everything that does not depend on the order of arrival, as unread messages do: tests/ingest/test_unread.py."""
    db.session.expire_all()
    messages = db.session.scalars(select(Message).order_by(Message.mid))
    rows: list[Any] = [
        (row.mid, row.kind, row.text, row.outgoing, str(row.sent_at), row.edit_number, row.reactions)
        for row in messages
    ]
    for each in db.session.scalars(select(Conversation)):
        last = (each.last_message_mid, each.last_message_kind, each.last_message_preview, each.last_message_outgoing)
        rows.append((last, each.arrival_count, str(each.first_message_at), str(each.last_message_at)))
        rows.append((str(each.needs_reply_since), str(each.last_incoming_at), str(each.last_outgoing_at)))
        rows.append((str(each.seen_until), str(each.seen_at)))
    parked = [
        json.dumps([row.kind, row.payload], sort_keys=True) for row in db.session.scalars(select(PendingMessageUpdate))
    ]
    return json.dumps([rows, sorted(parked)], sort_keys=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(EVERYTHING),
    again=st.lists(st.sampled_from(EVERYTHING), max_size=6),
    cuts=st.sets(st.integers(1, len(EVERYTHING) + 5)),
)
def test_any_order_repetition_and_batches_give_one_state(
    app: Flask, order: list[Event], again: list[Event], cuts: set[int]
) -> None:
    def fresh() -> None:
        with transaction.write() as tx:
            tx.execute(delete(Account))
        an_account()

    fresh()
    deliver(*EVERYTHING)
    expected = state()
    fresh()
    events = [*order, *again]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    for begin, end in itertools.pairwise(bounds):
        deliver(*events[begin:end])
    assert state() == expected
