"""The details pane: the source of the name, or why it is missing and when it is looked up next."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.identities.observations import FRESH, ProfileObservation
from app.inbox import thread
from app.inbox.details import ConversationDetails
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.identity import Source
from app.reply_state import WINDOW
from app.viewer import OPERATOR
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_delivery, an_account, an_echo_event, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.webhooks import receive_webhook


@pytest.fixture
def account(app: Flask, frozen_clock: FrozenClock) -> Account:
    account = an_account()
    people_wrote(LEA)
    return account


def details() -> ConversationDetails:
    return thread.open_thread(OPERATOR, 1).details


@pytest.mark.parametrize(
    ("username", "name", "source", "shown_as", "origin"),
    [
        ("lea.moreau", "Léa", Source.PROFILE, "Username", "Profile API"),
        (None, "Léa", Source.PROFILE, "Name", "Profile API"),
        ("lea.moreau", None, Source.CONVERSATIONS, "Username", "Conversations API"),
    ],
)
def test_details_of_a_known_contact_show_time_and_source(
    account: Account, username: str | None, name: str | None, source: Source, shown_as: str, origin: str
) -> None:
    seen = ProfileObservation(LEA, username=username, name=name, picture_url=None, source=source, at=clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    found = details()
    assert (found.shown_as, found.source, found.fresh) == (shown_as, origin, True)
    assert found.resolved_at is not None
    assert abs(found.resolved_at - clock.now()) < timedelta(seconds=1)


def test_a_name_older_than_seven_days_is_not_fresh(account: Account, frozen_clock: FrozenClock) -> None:
    seen = ProfileObservation(LEA, username="lea", name=None, picture_url=None, source=Source.PROFILE, at=clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    frozen_clock.at += FRESH + timedelta(seconds=1)
    assert not details().fresh


def test_details_of_an_unknown_contact_show_the_reason_and_the_next_lookup(account: Account) -> None:
    verdict = LookupFailure(Reason.NOT_VISIBLE, Scope.CONTACT, "9010", "Gone")
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, LEA, verdict, at=clock.now(), raw=None)
    found = details()
    assert (found.shown_as, found.failure_count, found.most_failures, found.source) == ("Short ID", 1, 5, None)
    assert "Profile not available" in (found.reason or "")
    assert found.next_try_at is not None


def test_a_reply_is_possible_for_a_day_after_their_last_message(account: Account) -> None:
    ends_at = details().window_ends_at
    assert ends_at is not None
    assert abs(ends_at - clock.now() - WINDOW) < timedelta(seconds=1)


@pytest.mark.parametrize("what", ["an answer of ours", "a handover"])
def test_only_messages_of_the_contact_extend_the_24_hour_window(
    account: Account, frozen_clock: FrozenClock, what: str
) -> None:
    before = details().window_ends_at
    frozen_clock.forward(hours=3)
    now_ms = int(clock.now().timestamp() * 1000)
    parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": now_ms}
    passed = parties | {"pass_thread_control": {"previous_owner_app_id": "1", "new_owner_app_id": "2"}}
    body = a_delivery(passed if what == "a handover" else an_echo_event(LEA, at_ms=now_ms))
    receive_webhook(body)
    assert details().messages == 2
    assert details().window_ends_at == before


def test_only_messages_of_this_conversation_are_counted(account: Account) -> None:
    people_wrote(CAMILLE, CAMILLE, LEA)
    assert details().messages == 2


@pytest.mark.parametrize(
    ("username", "name", "shown_as"),
    [
        ("\u202elea moreau", None, "Name"),
        ("not a handle", "Léa", "Name"),
        ("None", "Léa", "Name"),
        ("null", None, "Short ID"),
    ],
)
def test_a_username_that_cannot_be_one_is_not_called_a_username(
    account: Account, username: str, name: str | None, shown_as: str
) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(LEA, username, name, None, Source.PROFILE, clock.now()))
    assert details().shown_as == shown_as
