"""Reading back against the sandbox: history comes, losses are found, nothing is doubled, names come along."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock, queue
from app.accounts import connect
from app.db import transaction
from app.db.engine import db
from app.ingest import receive, sync, waiting
from app.ingest.sync import Synced
from app.instagram.events import Kind
from app.models.identity import Identity, Source
from app.models.inbox import Account, Conversation, Message
from app.viewer import OPERATOR
from tests.bed.hands import Hands
from tests.bed.processes import Sandbox
from tests.calls.lookups import noted
from tests.cast import (
    CAMILLE,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_IGSID,
    RUI,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    signed,
)


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - timedelta(hours=1))


def wrote(meta: Sandbox, person: str = LEA, text: str = "Bonjour", *, times: int = 1, kind: str = "text") -> list[str]:
    """Have somebody write without a webhook: it is lost."""
    mids: list[str] = meta.post("send", person=person, text=text, times=times, kind=kind)["mids"]
    return mids


def count(model: type[Message | Conversation | Identity]) -> int:
    db.session.rollback()
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def test_lost_messages_are_found_with_their_names_in_one_call(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, "Is it available?")
    wrote(meta, LEA, "Yes", kind="echo")
    wrote(meta, CAMILLE, kind="image")
    assert sync.account(account.id) == Synced(conversations=2, messages=3, names=1, calls=1)
    lea = db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()
    assert (lea.username, lea.username_source) == ("lea.moreau", Source.CONVERSATIONS)
    assert {row.kind for row in db.session.scalars(select(Message))} == {Kind.TEXT, Kind.IMAGE}
    conversation = db.session.scalars(select(Conversation).where(Conversation.ig_participant_id == LEA)).one()
    assert (conversation.last_message_preview, conversation.unread_count) == ("Yes", 1)
    assert [row.call for row in noted()] == ["conversations"]


def test_reading_twice_brings_nothing_twice(account: Account, meta: Sandbox) -> None:
    wrote(meta, times=3)
    sync.account(account.id)
    assert sync.account(account.id) == Synced(conversations=1, calls=1)
    assert count(Message) == 3


def test_what_was_delivered_and_what_is_read_are_one(account: Account, meta: Sandbox) -> None:
    [mid] = wrote(meta)
    body = a_delivery(a_message_event(LEA, "Bonjour", mid=mid))
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    assert sync.account(account.id).messages == 0
    assert count(Message) == 1


def test_a_delivery_completes_what_was_read_without_content(account: Account, meta: Sandbox) -> None:
    [mid] = wrote(meta, text="", kind="unsupported")
    sync.account(account.id)
    assert db.session.scalars(select(Message.kind)).one() == Kind.UNSUPPORTED
    share = [{"type": "ig_post", "payload": {"title": "Spring drop"}}]
    body = a_delivery(a_message_event(LEA, None, mid=mid, attachments=share))
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    db.session.rollback()
    assert db.session.scalars(select(Message.kind)).one() == Kind.SHARE
    assert db.session.scalars(select(Conversation.last_message_kind)).one() == Kind.SHARE


def test_history_from_before_the_connection_is_not_unread(meta: Sandbox, app: Flask) -> None:
    account = a_sandbox_account(connected_at=clock.now() + timedelta(minutes=1))
    wrote(meta)
    sync.account(account.id)
    assert db.session.scalars(select(Conversation.unread_count)).one() == 0


def test_only_the_twenty_newest_have_details_and_the_others_are_no_unsend(account: Account, meta: Sandbox) -> None:
    mids = wrote(meta, times=25)
    body = a_delivery(a_message_event(LEA, "delivered before", mid=mids[0]))
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    sync.account(account.id)
    assert count(Message) == 21
    assert db.session.scalars(select(Message.text).where(Message.mid == mids[0])).one() == "delivered before"


def test_the_account_itself_is_never_somebody_one_talks_with(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    sync.account(account.id)
    people = set(db.session.scalars(select(Identity.ig_participant_id)))
    assert people == {LEA}
    assert not people & {MAISON_LUNE, MAISON_LUNE_IGSID}


def test_pages_follow_each_other_and_end_where_nothing_is_new(account: Account, meta: Sandbox) -> None:
    crowd = [person["id"] for person in meta.get(f"people?account={MAISON_LUNE}")[:60]]
    for person in crowd:
        wrote(meta, person)
    assert sync.account(account.id).calls == 2
    assert count(Conversation) == 60
    assert sync.account(account.id, until_known=True) == Synced(conversations=0, calls=1)
    assert sync.account(account.id, limit=5) == Synced(conversations=5, calls=1)


def test_a_page_that_meta_cannot_give_is_asked_for_in_smaller_ones(account: Account, meta: Sandbox) -> None:
    for person in (LEA, CAMILLE, RUI):
        wrote(meta, person)
    meta.post("faults", mode="1", call="conversations", count=2)
    synced = sync.account(account.id)
    assert (synced.complete, synced.conversations, synced.calls) == (True, 3, 3)


@pytest.mark.parametrize("fault", ["190", "3", "4"])
def test_what_cannot_be_read_ends_early_and_says_why(account: Account, meta: Sandbox, fault: str) -> None:
    wrote(meta)
    meta.post("faults", mode=fault)
    synced = sync.account(account.id)
    assert (synced.complete, bool(synced.reason)) == (False, True)
    assert count(Message) == 0


def test_connecting_an_account_asks_for_its_history(meta: Sandbox, redis: Redis, app: Flask) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token="IGAAsandboxMaisonLune0123456789")
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.SYNC].queue}") == 1


def test_an_announced_message_is_read_back(account: Account, meta: Sandbox, hands: Hands) -> None:
    [mid] = wrote(meta)
    edit_zero = {"sender": {"id": LEA}, "message_edit": {"mid": mid, "num_edit": 0}}
    body = a_delivery(edit_zero)
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    assert waiting.announced(hands.now()) == []
    hands.forward(seconds=10)
    assert waiting.announced(hands.now()) == [account.id]
    sync.account(account.id, until_known=True)
    assert db.session.scalars(select(Message.mid)).one() == mid
    assert waiting.announced(hands.now()) == []


def test_an_account_that_is_not_there_is_not_found(app: Flask) -> None:
    with pytest.raises(Exception, match="account"):
        sync.account(999)
    with transaction.write():
        assert sync.connected() == []
