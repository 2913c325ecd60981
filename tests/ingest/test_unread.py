"""Unread counts and the newest message are exact for every order, repetition, answer and reading in between."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.db import transaction
from app.db.engine import db
from app.inbox import api_queries, listing, thread
from app.inbox.listing import ConversationFilter, ConversationRow
from app.instagram.events import EventKind
from app.models.account import Account
from app.models.conversation import Conversation, Message, UnreadByUser
from app.models.user import User
from app.viewer import OPERATOR, Viewer
from tests.factories import LEA, MAISON_LUNE, a_message_event, a_user, an_account, an_echo_event, deliver

NOON_MS = 1773134400000
ECHOES = ("e", "f")
MIDS = ("a", "b", "c", "d", *ECHOES)
READERS = ("nadia", "oskar", "token")  # the token is no user: it sees the team's state
STEP = st.one_of(
    st.tuples(st.just("deliver"), st.lists(st.sampled_from(MIDS), min_size=1, max_size=3)),
    st.tuples(st.just("unsend"), st.sampled_from(MIDS)),
    st.tuples(st.sampled_from(("open", "read", "mark unread", "undo")), st.sampled_from(READERS)),
)


@dataclass
class Reader:
    """What one reader has not read, the state of an open tab, and what the last reading can undo."""

    viewer: Viewer
    unread: set[str] = field(default_factory=set)
    marked: bool = False
    on_page: tuple[set[str], int] | None = None
    undo: tuple[set[str], int] | None = None

    @property
    def unread_count(self) -> int:
        return len(self.unread) + self.marked


class Model:
    """A model of the inbox: messages as (time, arrival), and its readers."""

    def __init__(self, minutes: dict[str, int], readers: dict[str, Reader]) -> None:
        self.minutes = minutes
        self.arrived: list[str] = []
        self.unsent: set[str] = set()
        self.readers = readers

    def deliver(self, mids: list[str]) -> None:
        for mid in sorted(mids, key=self.minutes.__getitem__):
            if mid not in self.arrived:
                self.arrived.append(mid)
                for reader in self.readers.values():
                    reader.unread |= {mid} - set(ECHOES) - self.unsent
                if mid in ECHOES:
                    self.answer(mid)

    def answer(self, echo: str) -> None:
        for reader in self.readers.values():
            in_order = [mid for mid in self.arrived if mid in reader.unread]
            answered = takewhile(lambda mid: self.minutes[mid] <= self.minutes[echo], in_order)
            reader.unread -= set(answered)
            reader.marked, reader.undo = False, None

    def unsend(self, mid: str) -> None:
        self.unsent.add(mid)
        for reader in self.readers.values():
            reader.unread.discard(mid)

    def read(self, reader: Reader, shown: set[str]) -> None:
        reader.unread -= shown
        self.readers["token"].unread -= shown  # what any user has read is read for the team
        reader.marked, reader.on_page = False, None

    @property
    def in_order(self) -> list[str]:
        return sorted(self.arrived, key=lambda mid: (self.minutes[mid], self.arrived.index(mid)))


def event_of(mid: str, minute: int) -> dict[str, Any]:
    build = an_echo_event if mid in ECHOES else a_message_event
    return build(LEA, f"Text of {mid}", mid=mid, at_ms=NOON_MS + minute * 60_000)


def unsend_of(mid: str) -> dict[str, Any]:
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": NOON_MS + 600_000}
    return parties | {"message": {"mid": mid, "is_deleted": True}}


def take_step(model: Model, what: str, which: Any, account: Account) -> None:
    if what == "deliver":
        deliver(*(event_of(mid, model.minutes[mid]) for mid in which))
        model.deliver(which)
    elif what == "unsend":
        deliver(unsend_of(which))
        model.unsend(which)
    elif not model.arrived:
        return
    else:
        use_inbox(model, model.readers[which], what, account)


def use_inbox(model: Model, reader: Reader, what: str, account: Account) -> None:
    if what == "open":
        reader.on_page = (set(model.arrived), thread.open_thread(reader.viewer, conversation_id()).arrivals)
    elif what == "read":
        shown, arrivals = reader.on_page or (set(model.arrived), None)
        reader.undo = (set(reader.unread), row_of(reader, account).read_through)
        thread.mark_read(reader.viewer, conversation_id(), arrivals=arrivals)
        model.read(reader, shown)
    elif reader.viewer.user_id is None:
        return
    elif what == "mark unread":
        reader.marked = reader.marked or not reader.unread
        thread.mark_unread(reader.viewer, conversation_id())
    elif reader.undo and not reader.marked:
        before, read_through = reader.undo
        reader.unread |= before - model.unsent
        reader.marked = not reader.unread
        thread.mark_all_unread(reader.viewer, {conversation_id(): read_through})


def conversation_id() -> int:
    db.session.rollback()
    return db.session.scalars(select(Conversation.id)).one()


def row_of(reader: Reader, account: Account) -> ConversationRow:
    [row] = listing.page(reader.viewer, account.id, ConversationFilter(), ig_account_id=MAISON_LUNE).rows
    return row


def assert_counts(model: Model, account: Account) -> None:
    db.session.rollback()
    if not model.arrived:
        return
    newest, unread_by_all = model.in_order[-1], bool(model.readers["token"].unread)
    preview = "Message unsent" if newest in model.unsent else f"Text of {newest}"
    for reader in model.readers.values():
        row = row_of(reader, account)
        assert (row.preview, row.unread_count, row.unread_by_all) == (preview, reader.unread_count, unread_by_all)
        assert listing.counts(reader.viewer, account.id).unread == (reader.unread_count > 0)


def assert_exact(reader: Reader, model: Model, account: Account) -> None:
    in_order = model.in_order
    opened = thread.open_thread(reader.viewer, conversation_id())
    shown = [message for day in opened.days for run in day.runs for message in run.messages]
    assert [each.text for each in shown] == [None if mid in model.unsent else f"Text of {mid}" for mid in in_order]
    assert opened.unread_count == reader.unread_count
    want = ConversationFilter(filter="unread")
    unread = listing.page(reader.viewer, account.id, want, ig_account_id=MAISON_LUNE)
    assert len(unread.rows) == (reader.unread_count > 0)
    new = [each.text for each in shown if each.first_new]
    first = next((f"Text of {mid}" for mid in in_order if mid in reader.unread), None)
    assert new == [first] if first else not reader.marked or len(new) <= 1


def assert_exact_in_api(model: Model) -> None:
    [entry], _ = api_queries.conversations(OPERATOR, api_queries.FeedQuery(), limit=2)
    said, _ = api_queries.messages(OPERATOR, entry.id, limit=1)
    assert (entry.unread_count, said[0].mid) == (len(model.readers["token"].unread), model.in_order[-1])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.fixed_dictionaries({mid: st.integers(0, 2) for mid in MIDS}),
    steps=st.lists(STEP, min_size=1, max_size=14),
)
def test_unread_and_newest_are_exact_for_each_reader_after_every_step(
    app: Flask, minutes: dict[str, int], steps: list[tuple[str, Any]]
) -> None:
    with transaction.write() as tx:
        tx.execute(delete(Account))
        tx.execute(delete(User))
    viewers = {"nadia": a_user("nadia"), "oskar": a_user("oskar"), "token": OPERATOR}
    account, model = an_account(), Model(minutes, {name: Reader(viewer) for name, viewer in viewers.items()})
    for what, which in steps:
        take_step(model, what, which, account)
        assert_counts(model, account)
    if model.arrived:
        assert_exact_in_api(model)
        for reader in model.readers.values():
            assert_exact(reader, model, account)


def test_counts_are_exact_after_simultaneous_reads_unsends_and_deliveries(app: Flask) -> None:
    an_account()
    readers = [a_user(f"user{number}") for number in range(4)]
    mids = [f"m{number}" for number in range(24)]
    deliver(*(event_of(mid, place) for place, mid in enumerate(mids[:12])))

    def act(number: int) -> None:
        with app.app_context():
            if number % 3 == 0:
                deliver(event_of(mids[12 + number // 3], 12 + number))
            elif number % 3 == 1:
                deliver(unsend_of(mids[number // 3 * 2]))
            else:
                thread.mark_read(readers[number // 3 % 4], 1, arrivals=number // 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(36)))
    db.session.rollback()
    conversation = db.session.scalars(select(Conversation)).one()
    numbers = [each.arrival or 0 for each in db.session.scalars(select(Message)) if each.kind != EventKind.UNSENT]
    assert conversation.arrival_count == len(mids)
    assert conversation.unread_count == sum(number > conversation.read_through for number in numbers)
    rows = db.session.scalars(select(UnreadByUser)).all()
    assert rows != []
    for row in rows:
        between = [number for number in numbers if row.read_through < number <= conversation.read_through]
        assert row.unread_count == len(between) > 0
    behind = {row.user_id for row in rows}
    furthest = [reader.user_id for reader in readers if reader.user_id not in behind]
    assert furthest != []  # whoever has read furthest has no row
