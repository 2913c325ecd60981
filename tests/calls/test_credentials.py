"""Credentials of accounts, and failures without a readable access token."""

from collections.abc import Callable

import pytest
from flask import Flask

from app import settings
from app.calls import credentials, gateway
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Account, AccountState, Login
from app.models.call import Purpose
from tests.calls.lookups import noted
from tests.factories import ATELIER_NORD, ATELIER_NORD_PAGE, LEA, an_account

OTHER_KEY = ("b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItbzA=",)


def failure_of(call: Callable[[], object]) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        call()
    return caught.value


def row_of(account: Account) -> Account:
    return db.session.get_one(Account, account.id, populate_existing=True)


def test_each_login_has_its_host_and_only_facebook_its_proof(app: Flask) -> None:
    instagram = credentials.credential_with_token(Login.INSTAGRAM, "IGAA")
    assert (instagram.host_url, instagram.app_secret) == ("https://graph.instagram.com", None)
    facebook = credentials.credential_with_token(Login.FACEBOOK, "EAA")
    assert (facebook.host_url, facebook.app_secret) == (
        "https://graph.facebook.com",
        settings.current().meta_app_secrets[0],
    )


def test_conversations_are_those_of_the_page_or_of_me(app: Flask) -> None:
    assert credentials.account(an_account().id).node == "me"
    assert credentials.account(an_account(ATELIER_NORD).id).node == ATELIER_NORD_PAGE


def test_an_unreadable_token_causes_no_call(app: Flask) -> None:
    account = an_account()
    with settings.using(token_encryption_keys=OTHER_KEY):
        failure = failure_of(lambda: gateway.profile(account.id, LEA, purpose=Purpose.LIVE))
    assert (failure.scope, failure.reason, failure.code) == (Scope.ACCOUNT, Reason.TOKEN, "unreadable")
    assert row_of(account).state is AccountState.RECONNECT
    assert row_of(account).state_reason == credentials.UNREADABLE
    assert noted() == []


def test_an_account_without_a_token_causes_no_call(app: Flask) -> None:
    account = an_account(token=None)
    failure = failure_of(lambda: credentials.credential_for(credentials.account(account.id)))
    assert (failure.scope, failure.code) == (Scope.ACCOUNT, "no_token")


def test_an_account_that_does_not_exist_is_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        credentials.account(4711)


def test_no_account_is_called_inside_a_transaction(app: Flask) -> None:
    account = an_account()
    with transaction.write(), pytest.raises(RuntimeError, match="transaction"):
        credentials.account(account.id)
