"""Whether a conversation needs a reply, since when, and how long the account may write: exact in every order."""

import itertools
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app import clock, reply_state
from app import settings as app_settings
from app.db import transaction
from app.db.engine import db
from app.ingest import event_handlers
from app.instagram.events import EventKind, MessageSent
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.reply_state import WindowState
from tests.factories import LEA, MAISON_LUNE, a_delivery, a_message_event, an_account, an_echo_event, deliver
from tests.support.frozen_clock import FrozenClock
from tests.support.webhooks import receive_webhook

NOON_MS = 1773134400000
INBOX_APP, BOT_APP = 1217981644879628, 900000000000001


class ReplyColumns(NamedTuple):
    """The reply columns of a conversation, in minutes after noon."""

    since: int | None
    incoming: int | None
    outgoing: int | None


def item(minute: int, **content: Any) -> dict[str, Any]:
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}}
    return parties | {"timestamp": NOON_MS + minute * 60_000} | content


def they(minute: int, **message: Any) -> dict[str, Any]:
    return a_message_event(LEA, f"at {minute}", mid=f"they-{minute}", at_ms=NOON_MS + minute * 60_000, **message)


def we(minute: int, **message: Any) -> dict[str, Any]:
    return an_echo_event(LEA, f"at {minute}", mid=f"we-{minute}", at_ms=NOON_MS + minute * 60_000, **message)


def unsent(whose: str, minute: int) -> dict[str, Any]:
    return item(60, message={"mid": f"{whose}-{minute}", "is_deleted": True})


def deliver_on_standby(event: dict[str, Any]) -> None:
    assert receive_webhook(a_delivery(event).replace(b'"messaging"', b'"standby"')).status == 200


def conversation() -> Any:
    db.session.rollback()
    return db.session.execute(select(Conversation.__table__)).one()


def columns() -> ReplyColumns:
    found = conversation()
    times = (found.needs_reply_since, found.last_incoming_at, found.last_outgoing_at)
    return ReplyColumns(*(None if at is None else (clock.microseconds(at) // 1000 - NOON_MS) // 60_000 for at in times))


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account(connected_at=clock.from_timestamp(NOON_MS / 1000) - timedelta(days=1))


HISTORIES: dict[str, tuple[tuple[dict[str, Any], ...], ReplyColumns]] = {
    "answered": ((they(0), they(1), we(2)), ReplyColumns(None, 1, 2)),
    "wrote again": ((they(0), we(1), they(2), they(3)), ReplyColumns(2, 3, 1)),
    "answered between": ((they(0), they(3), we(1), we(2)), ReplyColumns(3, 3, 2)),
    "last one unsent": ((they(0), we(1), they(2), unsent("they", 2)), ReplyColumns(None, 0, 1)),
    "first one unsent": ((they(0), they(2), unsent("they", 0)), ReplyColumns(2, 2, None)),
    "answer unsent": ((they(0), we(1), they(2), unsent("we", 1)), ReplyColumns(0, 2, None)),
    "answered at the same moment": ((they(1), we(1)), ReplyColumns(None, 1, 1)),
    "reaction and opt-in": (
        (
            they(0),
            we(1),
            item(2, reaction={"mid": "we-1", "action": "react", "emoji": "❤️"}),
            item(3, optin={"type": "notification_messages"}),
        ),
        ReplyColumns(None, 0, 1),
    ),
    "edited": (
        (they(0), they(1), item(9, message_edit={"mid": "they-0", "text": "Or that one?", "num_edit": 1})),
        ReplyColumns(0, 1, None),
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_every_order_and_split_of_a_history_gives_the_same_reply_columns(account: Account, name: str) -> None:
    events, expected = HISTORIES[name]
    for order in itertools.permutations(events):
        for size in range(1, len(order) + 1):
            with transaction.write() as tx:
                tx.execute(delete(Conversation))
            for begin in range(0, len(order), size):
                deliver(*order[begin : begin + size])
            assert columns() == expected


EVENT = st.tuples(st.sampled_from(("they", "we", "unsend they", "unsend we")), st.integers(0, 5))


def event_of(what: str, minute: int) -> dict[str, Any]:
    if what.startswith("unsend"):
        return unsent(what.removeprefix("unsend "), minute)
    return they(minute) if what == "they" else we(minute)


def expected_columns(events: set[tuple[str, int]]) -> ReplyColumns:
    theirs, ours = (
        {minute for what, minute in events if what == who and (f"unsend {who}", minute) not in events}
        for who in ("they", "we")
    )
    answered = max(ours, default=-1)
    return ReplyColumns(
        min((minute for minute in theirs if minute > answered), default=None),
        max(theirs, default=None),
        max(ours, default=None),
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(st.lists(EVENT, min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_reply_columns_follow_from_the_messages_alone(
    account: Account, deliveries: list[list[tuple[str, int]]]
) -> None:
    with transaction.write() as tx:
        tx.execute(delete(Account))
    an_account(connected_at=clock.from_timestamp(NOON_MS / 1000) - timedelta(days=1))
    deliver(we(-1))
    arrived: set[tuple[str, int]] = {("we", -1)}
    for events in deliveries:
        deliver(*(event_of(*each) for each in events))
        arrived |= set(events)
        assert columns() == expected_columns(arrived)


@pytest.mark.parametrize(
    "content",
    [
        {"message": {"mid": "m", "text": "Nice", "reply_to": {"story": {"id": "1"}}}},
        {"message": {"mid": "m", "attachments": [{"type": "story_mention", "payload": {"url": "https://a.example"}}]}},
        {"message": {"mid": "m", "text": "38", "quick_reply": {"payload": "SIZE_38"}}},
        {"message": {"mid": "m", "is_unsupported": True}},
        {"postback": {"mid": "m", "title": "Order status", "payload": "ORDER"}},
    ],
)
def test_whatever_a_contact_writes_or_taps_needs_a_reply(account: Account, content: dict[str, Any]) -> None:
    deliver(item(3, **content))
    assert columns() == ReplyColumns(3, 3, None)


@pytest.mark.parametrize(
    "content",
    [
        {"optin": {"type": "notification_messages", "payload": "RESTOCK"}},
        {"referral": {"ref": "summer-flyer", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
        {"pass_thread_control": {"previous_owner_app_id": "7", "new_owner_app_id": "8"}},
    ],
)
def test_an_event_without_words_needs_no_reply(account: Account, content: dict[str, Any]) -> None:
    deliver(we(0))
    deliver(item(3, **content))
    assert columns() == ReplyColumns(None, None, 0)


def test_what_another_app_answers_needs_no_reply_but_opens_the_window(account: Account) -> None:
    deliver_on_standby(they(3))
    assert columns() == ReplyColumns(None, 3, None)
    deliver(they(4))
    deliver(unsent("they", 4))
    assert columns() == ReplyColumns(None, 3, None)


def test_synced_history_needs_no_reply_and_a_message_that_was_lost_does(
    account: Account, frozen_clock: FrozenClock
) -> None:
    frozen_clock.at = account.connected_at + timedelta(days=6)  # a week later it would be history too
    with transaction.write() as tx:
        recipient = event_handlers.find_recipient(tx, MAISON_LUNE)
        assert recipient is not None
        for mid, sent_at in (("old", recipient.connected_at - timedelta(minutes=1)), ("lost", recipient.connected_at)):
            sent = MessageSent(MAISON_LUNE, LEA, MAISON_LUNE, sent_at, mid, EventKind.TEXT, mid, (), {})
            event_handlers.handle_in_savepoint(tx, recipient, sent, from_sync=True)
    assert conversation().needs_reply_since == account.connected_at


@pytest.mark.parametrize(("app_id", "automatic", "unread"), [(None, 0, 0), (INBOX_APP, 0, 0), (BOT_APP, 1, 1)])
def test_only_an_answer_of_the_team_marks_messages_as_read(
    account: Account, app_id: int | None, automatic: int, unread: int
) -> None:
    deliver(they(0))
    deliver(we(1, **({} if app_id is None else {"app_id": app_id})))
    found = conversation()
    assert (found.last_message_automatic, found.unread_count) == (automatic, unread)
    assert columns() == ReplyColumns(None, 0, 1)
    stored = db.session.scalars(select(Message.app_id).where(Message.outgoing)).one()
    assert stored == (str(app_id) if app_id else None)


def test_an_answer_by_this_app_is_not_automatic(account: Account) -> None:
    with app_settings.using(meta_app_id=str(BOT_APP)):
        deliver(they(0))
        deliver(we(1, app_id=BOT_APP))
    assert (conversation().last_message_automatic, conversation().unread_count) == (False, 0)


def test_a_synced_answer_learns_its_app_from_the_webhook(account: Account) -> None:
    with transaction.write() as tx:
        recipient = event_handlers.find_recipient(tx, MAISON_LUNE)
        assert recipient is not None
        at = clock.from_timestamp(NOON_MS / 1000)
        sent = MessageSent(MAISON_LUNE, MAISON_LUNE, LEA, at, "we-0", EventKind.TEXT, "at 0", (), {})
        event_handlers.handle_in_savepoint(tx, recipient, sent, from_sync=True)
    deliver(we(0, app_id=BOT_APP))
    assert conversation().last_message_automatic


def test_an_answer_leaves_messages_unread_that_were_sent_after_it(account: Account) -> None:
    deliver(they(0))
    deliver(they(2), they(3))
    deliver(we(1))
    assert (conversation().unread_count, conversation().read_through) == (2, 1)


@pytest.fixture
def clock_at_noon(frozen_clock: FrozenClock) -> datetime:
    frozen_clock.at = clock.from_timestamp(NOON_MS / 1000)
    return frozen_clock.at


HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ago", "state"),
    [
        (-10 * HOUR, WindowState.OPEN),
        (timedelta(0), WindowState.OPEN),
        (18 * HOUR - SECOND, WindowState.OPEN),
        (18 * HOUR, WindowState.CLOSING),
        (24 * HOUR - SECOND, WindowState.CLOSING),
        (24 * HOUR, WindowState.CLOSED),
        (7 * 24 * HOUR - SECOND, WindowState.CLOSED),
        (7 * 24 * HOUR, WindowState.EXPIRED),
        (400 * 24 * HOUR, WindowState.EXPIRED),
    ],
)
def test_the_window_is_open_for_24_hours_and_for_users_7_days(
    clock_at_noon: datetime, ago: timedelta, state: WindowState
) -> None:
    assert reply_state.window_state(clock_at_noon - ago) is state


def test_the_window_never_ends_later_than_in_24_hours_and_may_never_have_opened(clock_at_noon: datetime) -> None:
    ahead = clock_at_noon + timedelta(minutes=9)
    assert reply_state.window_ends_at(ahead) == clock_at_noon + timedelta(hours=24)
    assert reply_state.window_ends_at(None) is None
    assert reply_state.window_state(None) is WindowState.NONE
