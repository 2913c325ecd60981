"""Call log: a row before each call, completed with its result."""

import logging

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from app import clock
from app.calls import call_log
from app.calls.call_log import Call
from app.db import transaction
from app.errors import NotFound, Unavailable
from app.instagram.responses import ConversationListPage, Profile, TokenOwner
from app.instagram.usage_headers import NO_USAGE
from app.models.call import Purpose
from tests.calls.lookups import noted
from tests.factories import LEA, an_account


def test_a_row_begins_without_a_result_and_is_finished_with_it(app: Flask) -> None:
    call = Call(an_account().id, "profile", Purpose.BACKFILL, LEA, "0123456789ab")
    begun = call_log.begin(call, at=clock.now())
    [row] = noted()
    assert (row.call, row.ig_participant_id, row.run_id, row.http_status) == ("profile", LEA, "0123456789ab", None)
    call_log.finish(begun, http_status=200, code=None, answer="x" * 500)
    [row] = noted()
    assert (row.http_status, row.answer, row.took_ms is not None) == (200, "x" * call_log.ANSWER_CHARACTERS, True)


def test_a_call_of_a_removed_account_is_not_made(app: Flask) -> None:
    with pytest.raises(NotFound):
        call_log.begin(Call(1, "me", Purpose.CHECK), at=clock.now())


def test_a_result_that_cannot_be_stored_is_only_logged(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = call_log.begin(Call(an_account().id, "me", Purpose.CHECK), at=clock.now())

    def unavailable() -> None:
        raise Unavailable("database") from OperationalError("", {}, Exception())

    monkeypatch.setattr(transaction, "write", unavailable)
    with caplog.at_level(logging.WARNING):
        call_log.finish(begun, http_status=200, code=None, answer="The token works")
    assert "result of a call not logged" in caplog.text


def test_a_summary_has_no_names() -> None:
    assert call_log.summary(Profile("1", "lena", None, "https://x", {}, NO_USAGE)) == "username, picture"
    assert call_log.summary(Profile("1", None, None, None, {}, NO_USAGE)) == "nothing but the ID"
    assert call_log.summary(ConversationListPage((), None, NO_USAGE)) == "0 conversations"
    assert call_log.summary(TokenOwner("1", None, "lena", None, None, NO_USAGE)) == "The token works"
