"""The OAuth flow: configured apps, authorization URLs, and the tokens of a code."""

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from app import settings
from app.calls import oauth_flow
from app.db import transaction
from app.errors import NotFound
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Login
from app.sandbox.accounts import APP_ID
from tests.accounts.consents import chosen
from tests.calls.lookups import noted
from tests.factories import ATELIER_NORD, MAISON_LUNE
from tests.support.processes import Sandbox

BACK = "http://127.0.0.1:8000/back"


@pytest.fixture
def database(sqlite_database: str) -> str:
    return sqlite_database


@pytest.fixture
def apps(meta: Sandbox) -> Iterator[Sandbox]:
    with settings.using(meta_app_id=APP_ID, meta_instagram_app_id=APP_ID):
        yield meta


def code(login: Login, choice: str = "allow") -> str:
    return chosen(oauth_flow.authorize_url(login, back_url=BACK, state="s"), choice)["code"]


def failure_of(call: Callable[[], object]) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        call()
    return caught.value


def test_each_login_has_its_own_app_secret_and_host(app: Flask) -> None:
    with settings.using(meta_app_id="11", meta_instagram_app_id="22"):
        instagram = urlsplit(oauth_flow.authorize_url(Login.INSTAGRAM, back_url=BACK, state="s"))
        facebook = urlsplit(oauth_flow.authorize_url(Login.FACEBOOK, back_url=BACK, state="s"))
    assert (instagram.netloc, instagram.path) == ("www.instagram.com", "/oauth/authorize")
    assert (facebook.netloc, facebook.path) == ("www.facebook.com", "/v26.0/dialog/oauth")
    assert [parse_qs(each.query)["client_id"] for each in (instagram, facebook)] == [["22"], ["11"]]


def test_a_login_without_an_app_is_not_offered(app: Flask) -> None:
    assert oauth_flow.available_logins() == ()
    with pytest.raises(NotFound):
        oauth_flow.authorize_url(Login.FACEBOOK, back_url=BACK, state="s")


@pytest.mark.parametrize(("login", "ig_account_id"), [(Login.INSTAGRAM, MAISON_LUNE), (Login.FACEBOOK, ATELIER_NORD)])
def test_a_code_returns_accounts_with_tokens_and_uses_no_budget(
    apps: Sandbox, login: Login, ig_account_id: str
) -> None:
    [found] = oauth_flow.redeem(login, code(login), back_url=BACK)
    assert found.me.ig_account_id == ig_account_id
    assert found.token.permissions == tuple(sorted(oauth_flow.PERMISSIONS[login]))
    assert found.token.value not in repr(found)
    assert noted() == []


def test_pages_without_an_account_are_refused(apps: Sandbox) -> None:
    bare = code(Login.FACEBOOK, "bare")
    failure = failure_of(lambda: oauth_flow.redeem(Login.FACEBOOK, bare, back_url=BACK))
    assert (failure.scope, failure.reason, failure.code) == (Scope.ACCOUNT, Reason.TOKEN, "100/2534013")


def test_no_call_is_made_inside_a_transaction(app: Flask) -> None:
    with transaction.write(), pytest.raises(RuntimeError, match="transaction"):
        oauth_flow.redeem(Login.INSTAGRAM, "code", back_url=BACK)
