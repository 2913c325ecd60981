"""Recording contacts and observations: due times, merging, failures."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import and_, select

from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import STOP_AFTER, LookupFailure
from app.identities.observations import BACKGROUND_DELAY, FRESH, MIN_RETRY_INTERVAL, ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from tests.factories import CAMILLE, LEA, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NO_CONSENT = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
GONE = LookupFailure(Reason.NOT_VISIBLE, Scope.CONTACT, "9010", "No matching Instagram user")
TIMEOUT = LookupFailure(Reason.TIMEOUT, Scope.NETWORK, "timeout", "No answer within 2 s")


def meet(account_id: int, who: str = LEA, *, wrote: bool = True, live: bool = True, at: datetime = NOW) -> bool:
    with transaction.write() as tx:
        of_person = and_(Identity.account_id == account_id, Identity.ig_participant_id == who)
        state = tx.execute(select(*observations.STATE).select_from(Account).outerjoin(Identity, of_person)).one()
        return observations.record_contact(tx, account_id, who, state, wrote=wrote, live=live, at=at)


def see(account_id: int, who: str = LEA, **fields: Any) -> bool:
    seen = {"username": None, "name": None, "picture_url": None, "source": Source.PROFILE, "at": NOW} | fields
    with transaction.write() as tx:
        return observations.record(tx, account_id, ProfileObservation(who, **seen))


def a_picture(ends_at: datetime) -> str:
    return f"https://scontent.cdninstagram.com/a.jpg?oe={int(ends_at.timestamp()):08X}"


def fail(account_id: int, verdict: LookupFailure, who: str = LEA, *, at: datetime = NOW) -> None:
    with transaction.write() as tx:
        observations.record_failure(tx, account_id, who, verdict, at=at, raw=None)


def identity(who: str = LEA) -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == who)).one()


def test_a_contact_who_writes_for_the_first_time_is_due_immediately(app: Flask) -> None:
    assert meet(an_account().id)
    assert (identity().next_try_at, identity().next_purpose) == (NOW, Purpose.LIVE)


def test_the_contact_of_an_old_message_is_due_later(app: Flask) -> None:
    assert not meet(an_account().id, live=False)
    assert (identity().next_try_at, identity().next_purpose) == (NOW + BACKGROUND_DELAY, Purpose.BACKFILL)


def test_a_known_contact_who_writes_again_is_not_looked_up(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    see(account.id, username="lea.moreau")
    assert not meet(account.id, at=NOW + timedelta(days=1))
    assert identity().next_try_at is None


def test_a_stale_contact_who_writes_is_looked_up_again(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    see(account.id, username="lea.moreau")
    assert meet(account.id, at=NOW + FRESH + timedelta(seconds=1))


def test_a_stale_contact_who_writes_is_looked_up_again_after_any_failure(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    fail(account.id, TIMEOUT)
    see(account.id, username="lea.moreau", at=NOW + timedelta(minutes=1))
    assert not meet(account.id, at=NOW + timedelta(days=6))
    assert meet(account.id, at=NOW + timedelta(days=8))


def test_a_contact_with_an_expired_picture_url_is_stale_earlier(app: Flask) -> None:
    account = an_account()
    ends_at = NOW + timedelta(days=2)
    see(account.id, username="lea.moreau", picture_url=a_picture(ends_at))
    see(account.id, username="lea.moreau", source=Source.CONVERSATIONS)
    assert identity().picture_expires_at == ends_at
    assert not meet(account.id, at=ends_at - timedelta(minutes=1))
    assert meet(account.id, at=ends_at + timedelta(minutes=1))


def test_a_picture_with_an_expired_url_or_without_one_is_not_looked_up_again(app: Flask) -> None:
    account = an_account()
    for url in (a_picture(NOW - timedelta(minutes=1)), None, "https://[", "https://x/?oe=soon", "https://x/a.jpg"):
        see(account.id, username="lea.moreau", picture_url=a_picture(NOW + timedelta(days=2)))
        see(account.id, username="lea.moreau", picture_url=url)
        assert identity().picture_expires_at is None


def test_a_message_restarts_a_lookup_that_lacked_consent(app: Flask) -> None:
    account = an_account()
    meet(account.id, wrote=False)
    fail(account.id, NO_CONSENT)
    assert identity().next_try_at is None
    assert not meet(account.id, wrote=False, at=NOW + timedelta(hours=1))
    assert meet(account.id, at=NOW + timedelta(hours=1))
    assert identity().failure_count == 0


def test_a_contact_without_consent_who_keeps_writing_costs_at_most_one_call_a_minute(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    fail(account.id, NO_CONSENT)
    assert not meet(account.id, at=NOW + timedelta(seconds=5))
    assert identity().next_try_at == NOW + MIN_RETRY_INTERVAL


def test_the_fifth_failure_in_a_row_stops_retries_until_the_contact_writes(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    for number in range(STOP_AFTER):
        assert identity().next_try_at is not None
        fail(account.id, GONE, at=NOW + timedelta(days=number))
    assert (identity().failure_count, identity().next_try_at) == (STOP_AFTER, None)
    later = NOW + timedelta(days=30)
    assert meet(account.id, at=later)
    assert (identity().failure_count, identity().next_try_at) == (0, later)


def test_a_message_leaves_a_planned_retry_as_it_is(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    fail(account.id, GONE)
    planned = identity().next_try_at
    assert not meet(account.id, at=NOW + timedelta(seconds=1))
    assert identity().next_try_at == planned


def test_a_failure_of_the_network_never_counts_against_the_contact(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    for _ in range(STOP_AFTER + 1):
        fail(account.id, TIMEOUT)
    assert identity().failure_count == 0
    assert identity().next_try_at is not None


def test_waits_between_failures_grow(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    waits: list[timedelta] = []
    for _ in range(STOP_AFTER - 1):
        fail(account.id, GONE)
        next_try_at = identity().next_try_at
        assert next_try_at is not None
        waits.append(next_try_at - NOW)
    assert waits == sorted(waits)
    assert timedelta(seconds=48) <= waits[0] <= timedelta(seconds=72)
    assert waits[-1] >= timedelta(minutes=96)


def test_a_missing_field_never_blanks_a_known_one(app: Flask) -> None:
    account = an_account()
    see(account.id, username="lea.moreau", name="Léa Moreau", picture_url="https://scontent.cdninstagram.com/1")
    see(account.id, username="lea.moreau", at=NOW + timedelta(days=1), source=Source.CONVERSATIONS)
    row = identity()
    assert (row.username, row.name) == ("lea.moreau", "Léa Moreau")
    assert (row.name_source, row.username_source) == (Source.PROFILE, Source.CONVERSATIONS)
    assert row.picture_url is not None


def test_an_older_observation_never_replaces_a_newer_one(app: Flask) -> None:
    account = an_account()
    see(account.id, username="rui.c", at=NOW)
    see(account.id, username="rui.costa", at=NOW - timedelta(days=1))
    assert identity().username == "rui.c"
    assert identity().last_success_at == NOW


def test_recording_an_observation_returns_whether_the_display_changed(app: Flask) -> None:
    account = an_account()
    assert see(account.id, username="lea.moreau")
    assert not see(account.id, username="lea.moreau", at=NOW + timedelta(days=1))
    assert see(account.id, username="lea.m", at=NOW + timedelta(days=2))


def test_an_observation_marks_the_conversation_known_and_clears_the_next_lookup(app: Flask, client: Any) -> None:
    account = an_account()
    for who in (LEA, CAMILLE):
        body = a_delivery(a_message_event(who))
        receive_webhook(body)
    see(account.id, CAMILLE, name="Camille Roux")
    db.session.rollback()
    rows = db.session.execute(select(Conversation.ig_participant_id, Conversation.known))
    known = {row.ig_participant_id: row.known for row in rows}
    assert known == {LEA: False, CAMILLE: True}
    assert identity(CAMILLE).next_try_at is None
    assert identity(LEA).next_try_at is not None


def test_requesting_a_lookup_clears_the_failures(app: Flask) -> None:
    account = an_account()
    meet(account.id)
    fail(account.id, NO_CONSENT)
    with transaction.write() as tx:
        observations.request_lookup(tx, account.id, LEA, at=NOW)
    row = identity()
    assert (row.failure_count, row.next_try_at, row.next_purpose) == (0, NOW, Purpose.ASKED)
