"""Each event has the same effect on rows in any order and however often it arrives."""

import itertools
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.types import digest
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.ingest import event_handlers, message_updates, statements
from app.ingest.event_handlers import MisaddressedError
from app.instagram.errors import Reason, Scope
from app.instagram.events import Attachment, EventKind, MessageSent
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from tests.factories import CAMILLE, LEA, MAISON_LUNE, MAISON_LUNE_IGSID, RUI, an_account

NOON = clock.now().replace(microsecond=0) - timedelta(hours=3)


def a_message(mid: str, sender: str = LEA, recipient: str = MAISON_LUNE, *, minutes: int = 0) -> MessageSent:
    sent_at = NOON + timedelta(minutes=minutes)
    return MessageSent(MAISON_LUNE, sender, recipient, sent_at, mid, EventKind.TEXT, f"Text of {mid}", (), {})


def applied(*events: MessageSent) -> list[bool]:
    with transaction.write() as tx:
        account = event_handlers.find_recipient(tx, MAISON_LUNE)
        assert account is not None
        return [event_handlers.handle(tx, account, event) for event in events]


def conversation() -> Conversation:
    db.session.expire_all()
    return db.session.scalars(select(Conversation)).one()


def next_try_at() -> datetime | None:
    db.session.expire_all()
    return db.session.scalars(select(Identity.next_try_at)).one()


def test_any_order_of_arrival_gives_the_same_rows(app: Flask) -> None:
    account = an_account()
    events = [a_message("a", minutes=0), a_message("b", MAISON_LUNE, LEA, minutes=1), a_message("c", minutes=2)]
    ends = set()
    for order in itertools.permutations(events):
        applied(*order)
        found = conversation()
        mids = tuple(db.session.scalars(select(Message.mid).order_by(Message.sent_at)))
        ends.add((found.last_message_mid, found.last_message_preview, found.first_message_at, mids))
        with transaction.write() as tx:
            tx.session.delete(tx.session.get_one(Account, account.id))
        account = an_account()
    assert ends == {("c", "Text of c", NOON, ("a", "b", "c"))}


def test_the_same_message_again_changes_nothing(app: Flask) -> None:
    an_account()
    applied(a_message("a"))
    assert applied(a_message("a"), a_message("a")) == [False, False]
    assert conversation().unread_count == 1


def test_of_two_simultaneous_messages_the_later_arrival_is_newer(app: Flask) -> None:
    an_account()
    applied(a_message("b"), a_message("a"))
    assert conversation().last_message_mid == "a"


def test_a_message_that_another_transaction_stored_changes_nothing(app: Flask) -> None:
    account = an_account()
    applied(a_message("a"))
    again = a_message("a")
    with transaction.write() as tx:
        # Only a second process could store the message between the check and the insert, so it is inserted directly.
        summary = event_handlers._conversation(account.id, LEA, again, outgoing=False, unread=True)
        message = event_handlers._message(account.id, again, outgoing=False, mid_digest=digest("a"))
        message["from_sync"] = False
        assert not statements.store_message(tx, summary, message)


def test_an_event_between_other_parties_is_rejected(app: Flask) -> None:
    an_account()
    with pytest.raises(MisaddressedError):
        applied(a_message("a", LEA, CAMILLE))
    assert db.session.scalars(select(Message)).all() == []


def test_a_message_of_the_account_to_itself_makes_no_conversation(app: Flask) -> None:
    an_account()
    applied(a_message("a", MAISON_LUNE, MAISON_LUNE_IGSID))
    assert db.session.scalars(select(Message)).all() == []


def test_the_account_under_any_id_of_its_own_is_never_a_participant(app: Flask) -> None:
    an_account()
    applied(a_message("a", MAISON_LUNE_IGSID, LEA))
    assert db.session.scalars(select(Conversation.ig_participant_id)).all() == [LEA]
    assert MAISON_LUNE_IGSID not in set(db.session.scalars(select(Identity.ig_participant_id)))


def test_a_contact_who_writes_now_or_is_new_is_looked_up_first(app: Flask) -> None:
    an_account()
    fresh = MessageSent(MAISON_LUNE, LEA, MAISON_LUNE, clock.now(), "now", EventKind.TEXT, "Hello", (), {})
    old = a_message("old", CAMILLE)
    ours = MessageSent(MAISON_LUNE, MAISON_LUNE, RUI, clock.now(), "ours", EventKind.TEXT, "Hello", (), {})
    assert applied(old, fresh, ours) == [False, True, True]
    purposes = {row.ig_participant_id: row.next_purpose for row in db.session.scalars(select(Identity))}
    assert purposes == {LEA: Purpose.LIVE, CAMILLE: Purpose.BACKFILL, RUI: Purpose.LIVE}


def test_only_a_message_of_the_contact_restarts_a_lookup_that_lacked_profile_consent(app: Flask) -> None:
    account = an_account()
    applied(a_message("a"))
    refused = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "No consent yet")
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, LEA, refused, at=clock.now(), raw=None)
    applied(a_message("b", MAISON_LUNE, LEA, minutes=1))
    assert next_try_at() is None
    applied(a_message("c", minutes=2))
    assert next_try_at() is not None


def test_attachments_and_context_are_stored_without_empty_fields(app: Flask) -> None:
    an_account()
    photo = Attachment(EventKind.IMAGE, url="https://cdn.example/1.jpg")
    context = {"reply_to": {"mid": "before"}}
    applied(MessageSent(MAISON_LUNE, LEA, MAISON_LUNE, NOON, "photo", EventKind.IMAGE, None, (photo,), context))
    kept = db.session.scalars(select(Message)).one()
    assert (kept.attachments, kept.context) == ([{"kind": "image", "url": "https://cdn.example/1.jpg"}], context)
    assert (conversation().last_message_kind, conversation().last_message_preview) == (EventKind.IMAGE, None)


def test_a_long_text_is_stored_whole_and_shortened_in_the_preview(app: Flask) -> None:
    an_account()
    long = "Bonjour " * 100
    applied(MessageSent(MAISON_LUNE, LEA, MAISON_LUNE, NOON, "long", EventKind.TEXT, long, (), {}))
    assert db.session.scalars(select(Message.text)).one() == long
    preview = conversation().last_message_preview or ""
    assert preview.startswith("Bonjour Bonjour")
    assert len(preview) <= message_updates.PREVIEW_CHARACTERS


def test_an_unknown_account_id_has_no_recipient(app: Flask) -> None:
    with transaction.write() as tx:
        assert event_handlers.find_recipient(tx, MAISON_LUNE) is None


def test_the_last_webhook_time_is_written_at_most_once_a_minute(app: Flask) -> None:
    account = an_account()
    moments = [NOON, NOON + timedelta(seconds=30), NOON + timedelta(seconds=90)]
    heard = []
    for at in moments:
        with transaction.write() as tx:
            found = event_handlers.find_recipient(tx, MAISON_LUNE)
            assert found is not None
            event_handlers.record_webhook_time(tx, [found], at=at)
        db.session.expire_all()
        heard.append(db.session.get_one(Account, account.id).last_webhook_at)
    assert heard == [moments[0], moments[0], moments[2]]
