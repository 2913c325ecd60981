"""Rotating the keys of stored access tokens."""

from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from app import settings
from app.accounts import key_rotation
from app.db.engine import db
from app.models.account import Account
from app.viewer import OPERATOR
from tests.factories import ATELIER_NORD, an_account


def token_of(ig_account_id: str) -> str:
    db.session.rollback()
    found = select(Account.token).where(Account.ig_account_id == ig_account_id)
    secret = db.session.execute(found).scalar_one()
    assert secret is not None
    return secret.reveal()


def test_tokens_are_read_with_the_old_key_and_written_with_the_new(app: Flask) -> None:
    account = an_account(token="IGAAone")
    new = Fernet.generate_key().decode()
    with settings.using(token_encryption_keys=(new, *settings.current().token_encryption_keys)):
        assert key_rotation.rotate(OPERATOR).rotated == 1
    with settings.using(token_encryption_keys=(new,)):
        assert token_of(account.ig_account_id) == "IGAAone"


def test_an_access_token_that_no_key_decrypts_stays_and_is_listed(app: Flask) -> None:
    old = settings.current().token_encryption_keys
    an_account(token="IGAAone")
    with settings.using(token_encryption_keys=(Fernet.generate_key().decode(),)):
        an_account(ATELIER_NORD, token="EAAtwo")
        done = key_rotation.rotate(OPERATOR)
        assert (done.rotated, len(done.unreadable)) == (1, 1)
        assert token_of(ATELIER_NORD) == "EAAtwo"
    with settings.using(token_encryption_keys=old):
        assert token_of(done.unreadable[0]) == "IGAAone"
