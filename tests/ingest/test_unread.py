"""Unread counts and the newest message are exact for every order, repetition and reading in between."""

from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.db import transaction
from app.db.engine import db
from app.inbox import api_queries, listing, thread
from app.inbox.listing import ConversationFilter
from app.models.account import Account
from app.models.conversation import Conversation
from app.viewer import OPERATOR
from tests.factories import LEA, MAISON_LUNE, a_delivery, a_message_event, an_account, an_echo_event
from tests.support.webhooks import receive_webhook

NOON_MS = 1773134400000
MIDS = ("a", "b", "c", "d", "e")  # e is an echo
STEP = st.one_of(
    st.tuples(st.just("deliver"), st.lists(st.sampled_from(MIDS), min_size=1, max_size=3)),
    st.tuples(st.just("unsend"), st.sampled_from(MIDS)),
    st.tuples(st.sampled_from(("open", "read", "mark unread")), st.none()),
)


class Model:
    """A model of the inbox: messages as (time, arrival), unread messages, and the state of an open tab."""

    def __init__(self, minutes: dict[str, int]) -> None:
        self.minutes = minutes
        self.arrived: list[str] = []
        self.unsent: set[str] = set()
        self.unread: set[str] = set()
        self.marked = False
        self.on_page: tuple[set[str], int] | None = None

    def deliver(self, mids: list[str]) -> None:
        for mid in sorted(mids, key=self.minutes.__getitem__):
            if mid not in self.arrived:
                self.arrived.append(mid)
                self.unread |= {mid} - {"e"} - self.unsent

    def unsend(self, mid: str) -> None:
        self.unsent.add(mid)
        self.unread.discard(mid)

    @property
    def unread_count(self) -> int:
        return len(self.unread) + self.marked

    @property
    def in_order(self) -> list[str]:
        return sorted(self.arrived, key=lambda mid: (self.minutes[mid], self.arrived.index(mid)))


def deliver(*events: dict[str, Any]) -> None:
    body = a_delivery(*events)
    assert receive_webhook(body).status == 200


def event_of(mid: str, minute: int) -> dict[str, Any]:
    build = an_echo_event if mid == "e" else a_message_event
    return build(LEA, f"Text of {mid}", mid=mid, at_ms=NOON_MS + minute * 60_000)


def unsend_of(mid: str) -> dict[str, Any]:
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": NOON_MS + 600_000}
    return parties | {"message": {"mid": mid, "is_deleted": True}}


def take_step(model: Model, what: str, which: Any) -> None:
    if what == "deliver":
        deliver(*(event_of(mid, model.minutes[mid]) for mid in which))
        model.deliver(which)
    elif what == "unsend":
        deliver(unsend_of(which))
        model.unsend(which)
    elif not model.arrived:
        return
    elif what == "open":
        model.on_page = (set(model.arrived), thread.open_thread(OPERATOR, conversation_id()).arrivals)
    elif what == "read":
        shown, arrivals = model.on_page or (set(model.arrived), None)
        thread.mark_read(OPERATOR, conversation_id(), arrivals=arrivals)
        model.unread -= shown
        model.marked, model.on_page = False, None
    else:
        model.marked = model.marked or not model.unread
        thread.mark_unread(OPERATOR, conversation_id())


def conversation_id() -> int:
    db.session.rollback()
    return db.session.scalars(select(Conversation.id)).one()


def assert_exact(model: Model, account: Account) -> None:
    db.session.rollback()
    in_order = model.in_order
    if not in_order:
        return
    opened = thread.open_thread(OPERATOR, conversation_id())
    shown = [message for day in opened.days for run in day.runs for message in run.messages]
    newest = in_order[-1]
    preview = "Message unsent" if newest in model.unsent else f"Text of {newest}"
    assert [each.text for each in shown] == [None if mid in model.unsent else f"Text of {mid}" for mid in in_order]
    [row] = listing.page(OPERATOR, account.id, ConversationFilter(), ig_account_id=MAISON_LUNE).rows
    assert (row.preview, row.unread_count, opened.unread_count) == (preview, model.unread_count, model.unread_count)
    unread = listing.page(OPERATOR, account.id, ConversationFilter(filter="unread"), ig_account_id=MAISON_LUNE).rows
    assert len(unread) == (model.unread_count > 0)
    [entry], _ = api_queries.conversations(OPERATOR, api_queries.FeedQuery(), limit=2)
    said, _ = api_queries.messages(OPERATOR, entry.id, limit=1)
    assert (entry.preview, entry.unread_count, said[0].mid) == (preview, model.unread_count, newest)
    new = [each.text for each in shown if each.first_new]
    first = next((f"Text of {mid}" for mid in in_order if mid in model.unread), None)
    assert new == [first] if first else not model.marked or len(new) <= 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.fixed_dictionaries({mid: st.integers(0, 2) for mid in MIDS}),
    steps=st.lists(STEP, min_size=1, max_size=12),
)
def test_unread_and_newest_are_exact_after_every_step(
    app: Flask, minutes: dict[str, int], steps: list[tuple[str, Any]]
) -> None:
    with transaction.write() as tx:
        tx.execute(delete(Account))
    account, model = an_account(), Model(minutes)
    for what, which in steps:
        take_step(model, what, which)
        assert_exact(model, account)
