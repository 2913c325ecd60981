"""Column types: values are stored and returned unchanged, and secrets stay secret."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from app import settings
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret, SecretUnreadable
from app.models.account import Account, Login
from tests.factories import an_account


def test_a_time_of_any_zone_comes_back_in_utc(app: Flask) -> None:
    given = datetime(2026, 11, 20, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5)))
    account = an_account(connected_at=given)
    db.session.expire_all()
    assert account.connected_at == given
    assert account.connected_at.tzinfo == UTC


def test_a_naive_time_is_refused(app: Flask) -> None:
    with pytest.raises(StatementError, match="aware"):
        an_account(connected_at=datetime(2026, 11, 20, 12, 0))  # noqa: DTZ001 - the naive time is the point


def test_a_word_outside_its_list_is_refused(app: Flask) -> None:
    with pytest.raises(StatementError), transaction.write() as tx:
        tx.session.add(Account(ig_account_id="1", login="myspace", own_ids=[], connected_at=datetime.now(UTC)))
        tx.session.flush()


def test_a_word_comes_back_as_its_enumeration(app: Flask) -> None:
    account = an_account()
    db.session.expire_all()
    assert account.login is Login.INSTAGRAM


def test_a_token_lies_encrypted_and_opens_with_its_key_alone(app: Flask) -> None:
    account = an_account(token="IGAA-canary")
    stored = db.session.execute(text("SELECT token FROM accounts")).scalar_one()
    assert "canary" not in stored
    assert "canary" not in repr(account.token)
    assert account.token is not None
    assert account.token.reveal() == "IGAA-canary"
    with settings.using(token_encryption_keys=(Fernet.generate_key().decode(),)), pytest.raises(SecretUnreadable):
        account.token.reveal()


def test_an_old_key_still_opens_what_a_new_key_no_longer_writes(app: Flask) -> None:
    secret = Secret.hide("IGAA-canary")
    keys = (Fernet.generate_key().decode(), *settings.current().token_encryption_keys)
    with settings.using(token_encryption_keys=keys):
        assert secret.reveal() == "IGAA-canary"
        assert Fernet(keys[0]).decrypt(Secret.hide("new").encrypted.encode()) == b"new"
