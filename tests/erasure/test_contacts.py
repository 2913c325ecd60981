"""Deleting a contact leaves no trace of it in the database, Redis, files and logs; other contacts are unchanged."""

from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock, scheduler
from app.db import transaction
from app.db.engine import db, is_sqlite
from app.erasure import accounts, contact_data, contacts
from app.errors import Forbidden, NotFound
from app.identities import observations, resolve
from app.identities.observations import ProfileObservation
from app.inbox import pins
from app.inbox.listing import ConversationFilter
from app.ingest import dead_letters, receive, replay
from app.models.account import Account, AccountState
from app.models.conversation import Conversation, Message
from app.models.identity import Source
from app.models.run import RunKind
from app.runs import lifecycle, runner
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    GHOST,
    LEA,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    a_user,
    people_wrote,
)
from tests.support import leaks
from tests.support.processes import Sandbox
from tests.support.snapshot import places_of
from tests.support.webhooks import receive_webhook, signature_of


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA, CAMILLE, GHOST)
    resolve.look_up_due(account.id)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    misaddressed = a_delivery(a_message_event(LEA, "A secret", recipient=ATELIER_NORD))
    early = {"sender": {"id": LEA}, "reaction": {"mid": "never", "action": "react", "emoji": "❤️"}}
    for body in (misaddressed, a_delivery(early)):
        receive_webhook(body)
    return account


def cached(redis: Redis) -> list[bytes | str]:
    return list(redis.scan_iter(f"*{LEA}*"))


def test_all_data_of_the_contact_is_deleted(account: Account, redis: Redis) -> None:
    written = places_of(LEA, "lea.moreau")
    assert {"conversations", "identities", "messages", "dead_letters", "pending_message_updates"} <= written
    assert cached(redis)
    contacts.delete_contact(OPERATOR, 1)
    assert places_of(LEA, "lea.moreau", "A secret") == set()
    assert not cached(redis)
    assert replay.replay_all(OPERATOR).processed == 0
    assert places_of(LEA) == set()


def test_a_thousand_deleted_messages_leave_no_text_in_any_file(
    account: Account, redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("canarywort", "zitronenfalter", "lea.moreau", "Léa Moreau")
    number_of_messages = 1000 if is_sqlite() else 50  # only SQLite's files can be read
    said = [a_message_event(LEA, f"canarywort {number} zitronenfalter") for number in range(number_of_messages)]
    receive.receive_delivery(*both(old := a_delivery(*said)))
    edited = {"mid": "never", "text": "canarywort, edited", "num_edit": 1}
    early = a_delivery({"sender": {"id": LEA}, "timestamp": now_ms(), "message_edit": edited})
    receive.receive_delivery(*both(early))
    resolve.look_up_due(account.id)
    kept = leaks.files_with(tmp_path, *words) if is_sqlite() else places_of(*words)
    assert kept
    assert leaks.keys_with(redis, *words)

    caplog.clear()
    contacts.delete_contact(OPERATOR, 1)
    scheduler.scrub()

    def traces() -> set[str]:
        return places_of(*words, LEA) | leaks.keys_with(redis, *words, LEA) | leaks.files_with(tmp_path, *words, LEA)

    assert traces() == set()
    misaddressed = a_delivery(a_message_event(LEA, "canarywort", recipient=ATELIER_NORD, at_ms=now_ms() - 60_000))
    for again in (old, early, misaddressed):
        assert receive.receive_delivery(*both(again)).status == 200
    with transaction.write() as tx:  # a lookup that was running
        late = ProfileObservation(
            LEA, username="lea.moreau", name=None, picture_url=None, source=Source.PROFILE, at=clock.now()
        )
        assert not observations.record(tx, account.id, late)
    assert traces() == set()
    assert not any(
        word in line for word in (*words, LEA) for line in (caplog.text, *map(str, map(vars, caplog.records)))
    )

    people_wrote(LEA)
    db.session.rollback()
    fresh = db.session.scalars(select(Conversation).where(Conversation.ig_participant_id == LEA)).one()
    assert (fresh.unread_count, fresh.last_message_preview) == (1, "Bonjour !")
    assert receive.receive_delivery(*both(old)).status == 200
    db.session.rollback()
    assert db.session.execute(select(func.count()).where(Message.conversation_id == fresh.id)).scalar_one() == 1


def both(body: bytes) -> tuple[bytes, str]:
    return body, signature_of(body)


def now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def test_other_contacts_are_unchanged(account: Account) -> None:
    before = places_of(CAMILLE, "Camille Roux")
    contacts.delete_contact(OPERATOR, 1)
    assert places_of(CAMILLE, "Camille Roux") == before
    assert dead_letters.count(OPERATOR) == 0


def test_only_an_admin_of_the_account_deletes_a_contact(account: Account) -> None:
    with pytest.raises(Forbidden):
        contacts.delete_contact(Viewer(user_id=1, name="Nadia", role=Role.OPS), 1)
    for viewer, number in ((Viewer(2, "Oskar", Role.ADMIN, frozenset({999})), 1), (OPERATOR, 999)):
        with pytest.raises(NotFound):
            contacts.delete_contact(viewer, number)
    assert "conversations" in places_of(LEA)


def test_an_account_is_deleted_in_chunks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "CHUNK", 2)
    account = a_sandbox_account()
    people_wrote(*(str(10**15 + place) for place in range(5)))
    with transaction.write() as tx:
        tx.session.get_one(Account, account.id).state = AccountState.DELETING
    accounts.delete_pending()
    assert places_of("1000000000000") == set()


def pinned(viewer: Viewer) -> list[str]:
    db.session.rollback()
    return [each.name for each in pins.list_pins(viewer)]


def test_pinned_searches_of_all_users_that_name_the_contact_are_deleted(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    named = {"VIP": "@LEA.moreau", "Lost parcel of Léa Moreau": "parcel", "ID": f"refund {LEA}"}
    for name, q in {**named, "Annual": "lea.moreaux", "Camille": "Camille Roux"}.items():
        pins.pin_search(nadia, name, ConversationFilter("all", q))
    pins.pin_search(oskar, "Hers", ConversationFilter("all", "lea.moreau lamp"))
    counts = {part.key: number for part, number in contact_data.get_stored_data(OPERATOR, 1).counts}
    assert counts["pinnedSearches"] == 4
    contacts.delete_contact(OPERATOR, 1)
    assert pinned(nadia) == ["Annual", "Camille"]
    assert pinned(oskar) == []
    assert places_of(LEA, "Léa Moreau", "hers") == set()
