"""Notices: which conversations a desktop notification names."""

import pytest
from flask import Flask

from app.inbox import notices, thread
from app.models.account import Account
from app.viewer import OPERATOR, Viewer
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    RUI,
    a_message_event,
    a_user,
    an_account,
    an_echo_event,
    deliver,
    people_wrote,
)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def named(viewer: Viewer, since: int) -> list[str]:
    return [each.name for each in notices.since(viewer, since, notices.newest_message())]


def test_new_messages_are_reported_once_per_conversation_the_newest_first(account: Account) -> None:
    assert notices.newest_message() == 0
    people_wrote(RUI)
    before = notices.newest_message()
    people_wrote(LEA, CAMILLE)
    people_wrote(LEA)
    assert named(OPERATOR, before) == ["@user_000011", "@user_000033"]
    assert named(OPERATOR, notices.newest_message()) == []


def test_what_was_read_answered_or_unsent_meanwhile_is_not_reported(account: Account) -> None:
    people_wrote(LEA)
    deliver(a_message_event(CAMILLE), an_echo_event(CAMILLE, "Oui"), a_message_event(RUI, mid="back"))
    unsent = a_message_event(RUI, None, mid="back", is_deleted=True)
    deliver(unsent)
    thread.mark_read(a_user(), 1)
    assert named(OPERATOR, 0) == []


def test_contacts_of_other_accounts_are_not_reported(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    people_wrote(LEA)
    assert named(a_user(account_ids=[other.id]), 0) == []
    assert named(a_user("oskar", account_ids=[account.id]), 0) == ["@user_000011"]
