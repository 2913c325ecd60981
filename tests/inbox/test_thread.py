"""An open conversation: order of messages, what is new, read and unread."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db.engine import db
from app.errors import Forbidden, NotFound
from app.inbox import parties, thread
from app.inbox.thread import Thread
from app.models.account import Account
from app.models.conversation import Conversation
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    CAMILLE,
    LEA,
    MAISON_LUNE,
    a_message_event,
    a_user,
    an_account,
    an_echo_event,
    deliver,
    people_wrote,
)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def at_ms(*, minutes_ago: int) -> int:
    return int((clock.now() - timedelta(minutes=minutes_ago)).timestamp() * 1000)


def wrote(number: int, *, minutes_ago: int = 60, apart_ms: int = 1) -> None:
    first_ms = at_ms(minutes_ago=minutes_ago)
    deliver(*(a_message_event(LEA, f"Message {place}", at_ms=first_ms + place * apart_ms) for place in range(number)))


def event(minutes_ago: int, **happened: Any) -> dict[str, Any]:
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}}
    return parties | {"timestamp": at_ms(minutes_ago=minutes_ago)} | happened


def texts(opened: Thread) -> list[str | None]:
    return [message.text for day in opened.days for run in day.runs for message in run.messages]


def conversation() -> Conversation:
    db.session.rollback()
    return db.session.scalars(select(Conversation)).one()


def test_the_newest_fifty_are_shown_oldest_first_and_the_rest_follows(account: Account) -> None:
    wrote(120)
    opened = thread.open_thread(OPERATOR, 1)
    assert texts(opened) == [f"Message {place}" for place in range(70, 120)]
    assert opened.older
    before = thread.open_thread(OPERATOR, 1, before=opened.older.partition("before=")[2])
    assert texts(before) == [f"Message {place}" for place in range(20, 70)]
    first = thread.open_thread(OPERATOR, 1, before=(before.older or "").partition("before=")[2])
    assert (texts(first), first.older) == ([f"Message {place}" for place in range(20)], None)


def test_messages_of_one_moment_are_neither_lost_nor_doubled_between_pages(account: Account) -> None:
    wrote(60, apart_ms=0)
    opened = thread.open_thread(OPERATOR, 1)
    before = thread.open_thread(OPERATOR, 1, before=(opened.older or "").partition("before=")[2])
    assert texts(before) + texts(opened) == [f"Message {place}" for place in range(60)]


def test_the_divider_counts_only_messages_of_the_contact(account: Account) -> None:
    wrote(1)
    thread.mark_read(OPERATOR, 1)
    deliver(
        a_message_event(LEA, "new", at_ms=at_ms(minutes_ago=20)),
        an_echo_event(LEA, "a bot's", at_ms=at_ms(minutes_ago=15), app_id=900000000000001),
        a_message_event(LEA, "taken back", mid="back", at_ms=at_ms(minutes_ago=10)),
        event(9, message={"mid": "back", "is_deleted": True}),
        event(5, pass_thread_control={"previous_owner_app_id": "1", "new_owner_app_id": "2"}),
    )
    opened = thread.open_thread(OPERATOR, 1)
    new = [message for day in opened.days for run in day.runs for message in run.messages if message.first_new]
    assert (opened.unread_count, [message.text for message in new]) == (1, ["new"])


def test_older_messages_have_no_divider_while_something_newer_is_unread(account: Account) -> None:
    wrote(60)
    thread.mark_read(OPERATOR, 1)
    wrote(1, minutes_ago=1)
    older = thread.open_thread(OPERATOR, 1).older or ""
    assert thread.open_thread(OPERATOR, 1, before=older.partition("before=")[2]).new_from == 0


def test_the_divider_stays_before_what_was_unread_on_opening(account: Account) -> None:
    wrote(3)
    thread.mark_read(OPERATOR, 1)
    wrote(2, minutes_ago=5)
    opened = thread.open_thread(OPERATOR, 1)
    assert opened.unread_count == 2
    thread.mark_read(OPERATOR, 1)
    again = thread.open_thread(OPERATOR, 1, new_from=opened.new_from)
    new = [message.id for day in again.days for run in day.runs for message in run.messages if message.first_new]
    assert new == [opened.new_from]
    assert thread.open_thread(OPERATOR, 1).new_from == 0


def new_messages(opened: Thread) -> list[str | None]:
    messages = [message for day in opened.days for run in day.runs for message in run.messages]
    return [message.text for message in messages if message.first_new]


def test_what_arrives_after_reading_is_unread_whenever_it_was_sent(account: Account) -> None:
    deliver(a_message_event(LEA, "question", at_ms=at_ms(minutes_ago=1)))
    thread.mark_read(OPERATOR, 1)
    assert conversation().unread_count == 0
    deliver(a_message_event(LEA, "late", at_ms=at_ms(minutes_ago=61)))
    opened = thread.open_thread(OPERATOR, 1)
    assert (opened.unread_count, new_messages(opened), texts(opened)) == (1, ["late"], ["late", "question"])
    assert conversation().last_message_preview == "question"


def test_a_clock_that_is_fast_hides_nothing_that_follows(account: Account) -> None:
    deliver(a_message_event(LEA, "from the future", at_ms=at_ms(minutes_ago=-9)))
    thread.mark_read(OPERATOR, 1)
    deliver(a_message_event(LEA, "now", at_ms=at_ms(minutes_ago=0)))
    opened = thread.open_thread(OPERATOR, 1)
    assert (opened.unread_count, new_messages(opened)) == (1, ["now"])


def test_reading_a_thread_leaves_unread_what_arrived_since_it_was_shown(account: Account) -> None:
    wrote(3)
    shown = thread.open_thread(OPERATOR, 1)
    deliver(
        a_message_event(LEA, "meanwhile", at_ms=at_ms(minutes_ago=90)),
        a_message_event(LEA, "taken back", mid="back"),
        event(0, message={"mid": "back", "is_deleted": True}),
    )
    thread.mark_read(OPERATOR, 1, arrivals=shown.arrivals)
    opened = thread.open_thread(OPERATOR, 1)
    assert (opened.unread_count, new_messages(opened)) == (1, ["meanwhile"])
    thread.mark_read(OPERATOR, 1, arrivals=opened.arrivals)
    thread.mark_read(OPERATOR, 1, arrivals=shown.arrivals)  # an older tab changes nothing
    assert conversation().unread_count == 0


def test_marking_as_unread_adds_one_and_reading_removes_it(account: Account) -> None:
    nadia = a_user()
    deliver(a_message_event(LEA, "question"), an_echo_event(LEA, "answer"))
    thread.mark_read(nadia, 1)
    thread.mark_unread(nadia, 1)
    opened = thread.open_thread(nadia, 1)
    assert (opened.unread_count, new_messages(opened)) == (1, ["question"])
    thread.mark_unread(nadia, 1)
    assert thread.open_thread(nadia, 1).unread_count == 1
    thread.mark_read(nadia, 1)
    wrote(3)
    thread.mark_unread(nadia, 1)
    assert thread.open_thread(nadia, 1).unread_count == 3
    with pytest.raises(Forbidden):
        thread.mark_unread(OPERATOR, 1)


def test_a_thread_shows_its_contact_and_details(account: Account) -> None:
    people_wrote(CAMILLE)
    opened = thread.open_thread(OPERATOR, 1)
    assert (opened.display.text, opened.account) == ("@user_000033", "maison.lune")
    assert opened.details.shown_as == "Short ID"


@pytest.mark.parametrize(
    "use", [thread.open_thread, thread.mark_read, thread.mark_unread, thread.request_lookup, parties.get_parties]
)
def test_what_a_viewer_may_not_see_is_not_found(account: Account, use: object) -> None:
    wrote(1)
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.ADMIN, account_ids=frozenset({account.id + 1}))
    for viewer, conversation_id in ((elsewhere, 1), (OPERATOR, 2)):
        with pytest.raises(NotFound):
            use(viewer, conversation_id)  # type: ignore[operator]  # one of several functions
    assert conversation().unread_count == 1
