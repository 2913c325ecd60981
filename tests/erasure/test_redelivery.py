"""Data that was deleted with a contact is not stored again, in whatever form it is delivered again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock, scheduler, schedules, search_index
from app.db import transaction
from app.db.engine import db, is_sqlite
from app.erasure import contacts
from app.identities import cache, observations, resolve
from app.identities.observations import ProfileObservation
from app.identities.resolve import LookupOutcome
from app.ingest import dead_letters, pending_updates
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.conversation import Message
from app.models.erasure import DeletedEvent
from app.models.identity import Source, StoredAvatar
from app.models.ingest import DeadLetter, PendingMessageUpdate
from app.models.run import RunKind
from app.runs import lifecycle
from app.viewer import OPERATOR
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_delivery, a_message_event, an_account, people_wrote
from tests.support import leaks
from tests.support.frozen_clock import FrozenClock
from tests.support.snapshot import places_of
from tests.support.waiting import until
from tests.support.webhooks import receive_webhook

WORD = "canarywort"


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA)
    return account


def deliver(body: bytes) -> int:
    return receive_webhook(body).status


def now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


def count(model: type[Any]) -> int:
    db.session.rollback()
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def event(**fields: Any) -> dict[str, Any]:
    return {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": now_ms()} | fields


UNREADABLE: dict[str, Any] = {
    "unknown kind": {"novelty": {"text": WORD}},
    "no object": {"message": WORD},
    "no mid": {"message": {"text": WORD}},
    "no time": {"novelty": {"text": WORD}, "timestamp": None},
}


@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_event_of_a_deleted_contact_is_not_kept(account: Account, fields: dict[str, Any]) -> None:
    body = a_delivery(event(**fields))
    deliver(body)
    assert count(DeadLetter) == 1
    contacts.delete_contact(OPERATOR, 1)
    assert deliver(body) == 200
    again = a_delivery(event(**fields) | {"timestamp": now_ms() - 60_000})  # in another delivery
    assert deliver(again) == 200
    assert places_of(WORD, LEA) == set()


def test_an_unreadable_event_that_was_never_seen_before_the_deletion_is_not_kept(account: Account) -> None:
    old = a_delivery(event(novelty=WORD, timestamp=now_ms() - 60_000))
    contacts.delete_contact(OPERATOR, 1)
    deliver(old)
    assert places_of(WORD, LEA) == set()


def test_an_unreadable_body_with_a_deleted_contact_is_not_kept(account: Account) -> None:
    body = b"{" + a_delivery(a_message_event(LEA, WORD))
    assert deliver(body) == 400
    assert count(DeadLetter) == 1
    contacts.delete_contact(OPERATOR, 1)
    assert deliver(body) == 400
    assert places_of(WORD) == set()


def test_new_events_of_a_deleted_contact_that_cannot_be_processed_are_kept(
    account: Account, frozen_clock: FrozenClock
) -> None:
    contacts.delete_contact(OPERATOR, 1)
    frozen_clock.forward(minutes=1)
    deliver(a_delivery(event(novelty="new")))
    deliver(a_delivery({"sender": {"id": CAMILLE}, "novelty": "of another contact"}))
    assert count(DeadLetter) == 2


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("sender", [None, MAISON_LUNE])
def test_a_deletion_clears_the_text_of_an_edit_without_a_contact(
    account: Account, sender: str | None, number: int
) -> None:
    edit: dict[str, Any] = {"timestamp": now_ms(), "message_edit": {"mid": "m_never", "text": WORD, "num_edit": number}}
    body = a_delivery(edit | ({"sender": {"id": sender}} if sender else {}))
    people_wrote(CAMILLE, at=clock.now())
    deliver(body)
    assert places_of(WORD) == {"pending_message_updates"}
    contacts.delete_contact(OPERATOR, 1)
    assert places_of(WORD) == set()
    deliver(body)
    assert places_of(WORD) == set()
    assert [(each.kind) for each in db.session.scalars(select(PendingMessageUpdate))] == ["MessageAnnounced"]
    assert pending_updates.due(clock.now() + timedelta(seconds=30)) == [account.id]


def test_an_edit_of_another_contact_keeps_its_text(account: Account) -> None:
    edit = {"mid": "m_never", "text": WORD, "num_edit": 1}
    deliver(a_delivery({"sender": {"id": CAMILLE}, "timestamp": now_ms(), "message_edit": edit}))
    contacts.delete_contact(OPERATOR, 1)
    assert places_of(WORD) == {"pending_message_updates"}


@pytest.mark.parametrize("entry_time", [True, False])
def test_a_deleted_message_without_a_time_is_not_stored_again(account: Account, entry_time: bool) -> None:
    body = a_delivery(a_message_event(LEA, WORD, at_ms=0))
    body = body if entry_time else body.replace(b'"time"', b'"was"')
    deliver(body)
    assert "messages" in places_of(WORD)
    contacts.delete_contact(OPERATOR, 1)
    assert deliver(body) == 200
    assert places_of(WORD, LEA) == set()


@pytest.mark.parametrize("written_meanwhile", [False, True])
def test_messages_after_a_deletion_by_a_clock_that_was_ahead_are_stored(
    account: Account, frozen_clock: FrozenClock, written_meanwhile: bool
) -> None:
    frozen_clock.forward(hours=5)
    if written_meanwhile:  # dated by the wrong clock
        people_wrote(LEA)
    contacts.delete_contact(OPERATOR, 1)
    frozen_clock.forward(hours=-5, seconds=1)
    for _ in range(3):
        people_wrote(LEA)
    assert count(Message) == 3


def test_a_running_lookup_does_not_cache_a_deleted_contact(account: Account, redis: Redis) -> None:
    seen = ProfileObservation(LEA, username=WORD, name=None, picture_url=None, source=Source.PROFILE, at=clock.now())
    contacts.delete_contact(OPERATOR, 1)
    resolve.cache_outcome(account.id, LookupOutcome(LEA, observation=seen))
    assert leaks.keys_with(redis, WORD) == set()


def test_a_name_cached_while_its_contact_is_deleted_is_removed(
    account: Account, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = ProfileObservation(LEA, username=WORD, name=None, picture_url=None, source=Source.PROFILE, at=clock.now())
    write = cache.write

    def deleted_first(ig_account_id: str, sighting: ProfileObservation) -> None:
        contacts.delete_contact(OPERATOR, 1)
        write(ig_account_id, sighting)

    monkeypatch.setattr(cache, "write", deleted_first)
    resolve.cache_outcome(account.id, LookupOutcome(LEA, observation=seen))
    assert leaks.keys_with(redis, WORD) == set()


def test_dead_letters_that_name_only_a_message_of_the_contact_are_deleted(account: Account) -> None:
    mid = db.session.scalars(select(Message.mid)).one()
    deliver(a_delivery({"timestamp": now_ms(), "novelty": {"mid": mid, "text": WORD}}))
    assert places_of(WORD) == {"dead_letters"}
    contacts.delete_contact(OPERATOR, 1)
    assert dead_letters.count(OPERATOR) == 0


def test_digests_of_deleted_messages_are_kept_for_thirty_days(account: Account, frozen_clock: FrozenClock) -> None:
    contacts.delete_contact(OPERATOR, 1)
    assert count(DeletedEvent) == 1
    frozen_clock.forward(days=31)
    schedules.purge()
    assert count(DeletedEvent) == 0


def test_the_text_of_an_unsent_message_leaves_sqlite_s_log_with_the_next_scrub(
    account: Account, tmp_path: Path
) -> None:
    deliver(a_delivery(a_message_event(LEA, WORD, mid="m_unsent")))
    if is_sqlite():
        assert leaks.files_with(tmp_path, WORD)
    unsent = {"mid": "m_unsent", "is_deleted": True}
    deliver(a_delivery({"sender": {"id": LEA}, "timestamp": now_ms(), "message": unsent}))
    scheduler.scrub()
    search_index.merge_indexes()
    scheduler.scrub()
    assert places_of(WORD) == set()
    assert leaks.files_with(tmp_path, WORD) == set()


def test_redis_rewrites_its_append_only_file_after_a_deletion(account: Account, redis: Redis) -> None:
    folder = Path(str(redis.config_get("dir")["dir"]))
    redis.config_set("appendonly", "yes")
    try:
        seen = ProfileObservation(
            LEA, username=WORD, name=None, picture_url=None, source=Source.PROFILE, at=clock.now()
        )
        resolve.cache_outcome(account.id, LookupOutcome(LEA, observation=seen))
        until(lambda: leaks.files_with(folder, WORD), "the name is in the file")
        contacts.delete_contact(OPERATOR, 1)

        def scrubbed() -> bool:
            scheduler.scrub()
            return not leaks.files_with(folder, WORD)

        until(scrubbed, "the name left the file")
    finally:
        redis.config_set("appendonly", "no")


PLACES = {  # tables with texts, names or IDs of contacts, and how they get there
    "conversations": "deliveries",
    "messages": "deliveries",
    "identities": "lookups",
    "username_history": "a new username",
    "avatars": "pictures",
    "api_calls": "lookups",
    "run_items": "jobs",
    "pending_message_updates": "an edit before its message",
    "dead_letters": "what could not be processed",
}


def test_no_table_cache_or_file_holds_a_deleted_contact(account: Account, redis: Redis, tmp_path: Path) -> None:
    edit = {"mid": "m_never", "text": WORD, "num_edit": 1}
    deliver(a_delivery(event(message_edit=edit), a_message_event(LEA, WORD), event(novelty=WORD)))
    for name in ("lea.before", "lea.after"):
        seen = ProfileObservation(
            LEA, username=name, name=WORD, picture_url=None, source=Source.PROFILE, at=clock.now()
        )
        with transaction.write() as tx:
            observations.record(tx, account.id, seen)
        resolve.cache_outcome(account.id, LookupOutcome(LEA, observation=seen))
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    contact = {"account_id": account.id, "ig_participant_id": LEA}
    with transaction.write() as tx:
        tx.execute(tx.insert(StoredAvatar).values(identity_id=1, content=WORD.encode(), tried_at=clock.now()))
        tx.execute(tx.insert(ApiCall).values(**contact, call="profile", purpose=Purpose.LIVE, at=clock.now()))
    assert run_id
    words = (WORD, LEA, "lea.before", "lea.after")
    assert places_of(*words) == set(PLACES)
    assert leaks.keys_with(redis, *words)
    contacts.delete_contact(OPERATOR, 1)
    scheduler.scrub()
    assert places_of(*words) == set()
    assert leaks.keys_with(redis, *words) == set()
    assert leaks.files_with(tmp_path, *words) == set()


def test_a_contact_whose_lookup_a_wrong_clock_planned_is_due_again(account: Account, frozen_clock: FrozenClock) -> None:
    frozen_clock.forward(hours=5)
    people_wrote(CAMILLE, at=clock.now() - timedelta(hours=1))  # not writing right now: planned an hour later
    frozen_clock.forward(hours=-5)
    assert account.id not in resolve.accounts_due(clock.now(), live=False)
    scheduler.kick_due()
    assert account.id in resolve.accounts_due(clock.now(), live=False)
