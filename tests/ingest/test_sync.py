"""Conversation sync against the sandbox: history, lost messages, no duplicates, usernames."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock, queue
from app.accounts import connect
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.ingest import event_handlers, sync
from app.ingest.event_handlers import RecipientAccount
from app.ingest.sync import Synced
from app.instagram.events import EventKind, MessageSent
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, Source
from app.viewer import OPERATOR
from tests.calls.lookups import noted
from tests.factories import (
    CAMILLE,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_IGSID,
    RUI,
    a_delivery,
    a_message_event,
    a_sandbox_account,
)
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - timedelta(hours=1))


def wrote(meta: Sandbox, person: str = LEA, text: str = "Bonjour", *, times: int = 1, kind: str = "text") -> list[str]:
    """Have a contact write without a webhook, so that the message is lost."""
    mids: list[str] = meta.post("send", person=person, text=text, times=times, kind=kind)["mids"]
    return mids


def count(model: type[Message | Conversation | Identity]) -> int:
    db.session.rollback()
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def test_lost_messages_are_found_with_their_names_in_one_call(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, "Is it available?")
    wrote(meta, LEA, "Yes", kind="echo")
    wrote(meta, CAMILLE, kind="image")
    assert sync.sync_account(account.id) == Synced(conversations=2, messages=3, names=1, calls=1)
    lea = db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()
    assert (lea.username, lea.username_source) == ("lea.moreau", Source.CONVERSATIONS)
    assert {row.kind for row in db.session.scalars(select(Message))} == {EventKind.TEXT, EventKind.IMAGE}
    conversation = db.session.scalars(select(Conversation).where(Conversation.ig_participant_id == LEA)).one()
    assert (conversation.last_message_preview, conversation.unread_count) == ("Yes", 0)
    assert [row.call for row in noted()] == ["conversations"]


def test_a_second_sync_adds_nothing(account: Account, meta: Sandbox) -> None:
    wrote(meta, times=3)
    sync.sync_account(account.id)
    assert sync.sync_account(account.id) == Synced(conversations=1, calls=1)
    assert count(Message) == 3


def test_a_delivered_and_a_synced_message_are_stored_once(account: Account, meta: Sandbox) -> None:
    [mid] = wrote(meta)
    body = a_delivery(a_message_event(LEA, "Bonjour", mid=mid))
    receive_webhook(body)
    assert sync.sync_account(account.id).messages == 0
    assert count(Message) == 1


def test_a_delivery_completes_a_message_synced_without_content(account: Account, meta: Sandbox) -> None:
    [mid] = wrote(meta, text="", kind="unsupported")
    sync.sync_account(account.id)
    assert db.session.scalars(select(Message.kind)).one() == EventKind.UNSUPPORTED
    share = [{"type": "ig_post", "payload": {"title": "Spring drop"}}]
    body = a_delivery(a_message_event(LEA, None, mid=mid, attachments=share))
    receive_webhook(body)
    db.session.rollback()
    assert db.session.scalars(select(Message.kind)).one() == EventKind.SHARE
    assert db.session.scalars(select(Conversation.last_message_kind)).one() == EventKind.SHARE


SHARE = [{"type": "ig_post", "payload": {"title": "Spring drop", "url": "https://lookaside.fbsbx.com/?asset_id=8"}}]


@pytest.mark.parametrize(
    ("synced", "text", "delivered", "kept"),
    [
        ({"shares": {"data": [{"id": "1"}]}}, None, {"attachments": SHARE}, "Spring drop"),
        ({"message": "Size 38"}, "Size 38", {"quick_reply": {"payload": "SIZE_38"}}, "SIZE_38"),
        ({"message": "Love it"}, "Love it", {"reply_to": {"story": {"url": "https://a/1"}}}, "https://a/1"),
    ],
)
def test_a_delivery_replaces_a_less_complete_synced_message(
    account: Account, meta: Sandbox, synced: dict[str, Any], text: str | None, delivered: dict[str, Any], kept: str
) -> None:
    [mid] = wrote(meta, text="")
    meta.request("PATCH", f"conversations/{LEA}", message=synced)
    sync.sync_account(account.id)
    body = a_delivery(a_message_event(LEA, text, mid=mid, **delivered))
    for _ in range(2):  # the second one changes nothing
        receive_webhook(body)
        db.session.rollback()
        message = db.session.scalars(select(Message)).one()
        assert kept in json.dumps([message.attachments, message.context])
        assert db.session.scalars(select(Conversation.last_message_kind)).one() == message.kind
    before = (message.kind, message.text, message.attachments, message.context)
    sync.sync_account(account.id)
    db.session.rollback()
    message = db.session.scalars(select(Message)).one()
    assert (message.kind, message.text, message.attachments, message.context) == before


def test_a_richer_delivery_leaves_an_edited_text_and_an_unsent_message_alone(account: Account, meta: Sandbox) -> None:
    [edited, unsent] = wrote(meta, times=2)
    sync.sync_account(account.id)
    richer = [a_message_event(LEA, "Bonjour", mid=mid, reply_to={"mid": "m"}) for mid in (edited, unsent)]
    changes: list[dict[str, Any]] = [
        {"message_edit": {"mid": edited, "text": "Bonsoir", "num_edit": 1}},
        {"message": {"mid": unsent, "is_deleted": True}},
    ]
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}}
    for body in (a_delivery(*(parties | each for each in changes)), a_delivery(*richer)):
        receive_webhook(body)
    db.session.rollback()
    found = {each.mid: (each.kind, each.text, each.context) for each in db.session.scalars(select(Message))}
    assert found == {
        edited: (EventKind.TEXT, "Bonsoir", {"reply_to": {"mid": "m"}}),
        unsent: (EventKind.UNSENT, None, None),
    }


def test_history_from_before_the_connection_is_not_unread(meta: Sandbox, app: Flask) -> None:
    account = a_sandbox_account(connected_at=clock.now() + timedelta(minutes=1))
    wrote(meta)
    sync.sync_account(account.id)
    assert db.session.scalars(select(Conversation.unread_count)).one() == 0


def test_messages_without_details_do_not_count_as_unsent(account: Account, meta: Sandbox) -> None:
    mids = wrote(meta, times=25)
    body = a_delivery(a_message_event(LEA, "delivered before", mid=mids[0]))
    receive_webhook(body)
    sync.sync_account(account.id)
    assert count(Message) == 21
    assert db.session.scalars(select(Message.text).where(Message.mid == mids[0])).one() == "delivered before"


def test_the_account_itself_is_never_a_contact(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    sync.sync_account(account.id)
    people = set(db.session.scalars(select(Identity.ig_participant_id)))
    assert people == {LEA}
    assert not people & {MAISON_LUNE, MAISON_LUNE_IGSID}


def test_a_sync_reads_page_after_page_until_nothing_is_new(account: Account, meta: Sandbox) -> None:
    crowd = [person["id"] for person in meta.get(f"people?account={MAISON_LUNE}")[:60]]
    for person in crowd:
        wrote(meta, person)
    assert sync.sync_account(account.id).calls == 2
    assert count(Conversation) == 60
    assert sync.sync_account(account.id, until_known=True) == Synced(conversations=50, calls=1)
    assert sync.sync_account(account.id, limit=5) == Synced(conversations=5, calls=1)


def test_an_unreadable_conversation_is_reported_and_hides_no_older_lost_message(
    account: Account, meta: Sandbox
) -> None:
    for person in (LEA, RUI, CAMILLE):
        wrote(meta, person)
    sync.sync_account(account.id)
    [lost] = wrote(meta, LEA, "lost")
    [mid] = wrote(meta, CAMILLE, "delivered")
    body = a_delivery(a_message_event(CAMILLE, "delivered", mid=mid))
    receive_webhook(body)
    meta.request("PATCH", f"conversations/{RUI}", error="1")
    synced = sync.sync_account(account.id, until_known=True)
    assert (synced.conversations, synced.messages, synced.complete) == (2, 1, True)
    [skipped] = synced.skipped
    assert (skipped.kind, skipped.id) == ("conversation", f"t_{MAISON_LUNE}_{RUI}")
    assert db.session.scalars(select(Message.text).where(Message.mid == lost)).one() == "lost"


@pytest.mark.parametrize(
    ("odd", "kinds", "messages"),
    [
        ({"participants": [{"id": RUI}, {"username": "noid"}]}, ["participant"], 3),
        ({"participants": [{"username": "gone.user"}, {"id": MAISON_LUNE}]}, ["participant", "conversation"], 2),
        ({"participants": [{"id": int(RUI)}, {"id": int(MAISON_LUNE)}]}, [], 3),
        ({"participants": [{"id": RUI}, {"id": "77"}, {"id": MAISON_LUNE}]}, ["conversation"], 2),
        ({"message": {"from": {"username": "gone.user"}}}, ["message"], 2),
        ({"message": {"from": {"id": int(RUI)}, "to": {"data": [{"id": int(MAISON_LUNE)}]}}}, [], 3),
        ({"message": {"from": {"id": "5"}, "to": {"data": [{"id": "6"}]}}}, ["message"], 2),
        ({"message": {"created_time": "2026-03-10T09:20:05.250+0000"}}, [], 3),
        ({"message": {"created_time": None}}, ["message"], 2),
    ],
)
def test_an_unreadable_element_affects_no_other(
    account: Account, meta: Sandbox, odd: dict[str, Any], kinds: list[str], messages: int
) -> None:
    for person in (LEA, RUI, CAMILLE):
        wrote(meta, person)
    meta.request("PATCH", f"conversations/{RUI}", **odd)
    synced = sync.sync_account(account.id)
    assert ([each.kind for each in synced.skipped], synced.messages, synced.complete) == (kinds, messages, True)
    assert {each.conversation for each in synced.skipped} <= {f"t_{MAISON_LUNE}_{RUI}"}
    assert synced.conversations == 3 - kinds.count("conversation")


def test_a_conversation_that_cannot_be_stored_affects_no_other(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (LEA, RUI):
        wrote(meta, person)
    as_ever = event_handlers.handle

    def failing(tx: Tx, addressee: RecipientAccount, event: MessageSent, **known: Any) -> bool:
        if event.ig_sender_id == RUI:
            raise ValueError("a bug")
        return as_ever(tx, addressee, event, **known)

    monkeypatch.setattr(event_handlers, "handle", failing)
    synced = sync.sync_account(account.id)
    assert (synced.conversations, [each.id for each in synced.skipped]) == (1, [f"t_{MAISON_LUNE}_{RUI}"])
    assert (count(Message), synced.complete) == (1, True)


def test_a_message_delivered_during_the_sync_is_stored_once(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote(meta)
    as_ever, lost = event_handlers.handle, iter([True])

    def racing(tx: Tx, addressee: RecipientAccount, event: MessageSent, **known: Any) -> bool:
        if next(lost, False):
            raise event_handlers.DuplicateMessageError
        return as_ever(tx, addressee, event, **known)

    monkeypatch.setattr(event_handlers, "handle", racing)
    assert sync.sync_account(account.id) == Synced(conversations=1, messages=1, names=1, calls=1)


def test_the_result_of_the_last_sync_is_kept_with_the_account(account: Account, meta: Sandbox) -> None:
    for person in (LEA, RUI):
        wrote(meta, person)
    meta.request("PATCH", f"conversations/{RUI}", participants=[])
    sync.sync_account(account.id)
    kept = db.session.execute(select(Account.last_synced_at, Account.last_sync_result)).one()
    assert kept.last_synced_at > clock.now() - timedelta(minutes=1)
    skipped = {"skipped": 1, "skipped_ids": [f"t_{MAISON_LUNE}_{RUI}"]}
    assert kept.last_sync_result == {"conversations": 1, "messages": 1, "reason": None} | skipped
    meta.post("faults", mode="190")
    sync.sync_account(account.id)
    db.session.rollback()
    assert "Reconnect" in (db.session.scalars(select(Account.last_sync_result)).one() or {})["reason"]


def test_a_story_reply_and_a_story_mention_are_stored_as_such_with_their_links(account: Account, meta: Sandbox) -> None:
    story = {"link": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=13", "id": "18050000000001002"}
    wrote(meta, LEA, "Love this color")
    meta.request("PATCH", f"conversations/{LEA}", message={"story": {"reply_to": story}})
    wrote(meta, RUI, "")
    meta.request("PATCH", f"conversations/{RUI}", message={"story": {"mention": story}})
    sync.sync_account(account.id)
    reply, mention = db.session.scalars(select(Message).order_by(Message.text.is_(None), Message.kind.desc())).all()
    assert (reply.kind, reply.text, reply.attachments) == (EventKind.STORY_REPLY, "Love this color", None)
    assert reply.context == {"reply_to": {"story": {"url": story["link"], "id": story["id"]}}}
    assert (mention.kind, mention.attachments) == (
        EventKind.STORY_MENTION,
        [{"kind": "story_mention", "url": story["link"]}],
    )


def test_a_page_that_meta_cannot_return_is_requested_in_smaller_ones(account: Account, meta: Sandbox) -> None:
    for person in (LEA, CAMILLE, RUI):
        wrote(meta, person)
    meta.post("faults", mode="1", call="conversations", count=2)
    synced = sync.sync_account(account.id)
    assert (synced.complete, synced.conversations, synced.calls) == (True, 3, 3)


@pytest.mark.parametrize("fault", ["190", "3", "4"])
def test_a_failed_sync_stops_early_and_reports_the_reason(account: Account, meta: Sandbox, fault: str) -> None:
    wrote(meta)
    meta.post("faults", mode=fault)
    synced = sync.sync_account(account.id)
    assert (synced.complete, bool(synced.reason)) == (False, True)
    assert count(Message) == 0


def test_connecting_an_account_queues_a_sync(meta: Sandbox, redis: Redis, app: Flask) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token="IGAAsandboxMaisonLune0123456789")
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.SYNC].queue}") == 1


def test_a_sync_of_an_unknown_account_raises_not_found(app: Flask) -> None:
    with pytest.raises(Exception, match="account"):
        sync.sync_account(999)
    with transaction.write():
        assert sync.connected_accounts() == []
