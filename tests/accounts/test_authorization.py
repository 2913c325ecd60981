"""Connecting through the OAuth dialog of the sandbox: permissions, state, and connected accounts."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import settings
from app.accounts import authorization, connect, listing
from app.accounts.authorization import AuthorizationAttempt
from app.accounts.listing import ListedAccount
from app.db.engine import db
from app.errors import Forbidden, Invalid, NotFound, Unavailable
from app.instagram.oauth import FACEBOOK_PERMISSIONS, INSTAGRAM_PERMISSIONS
from app.models.account import Account, AccountState
from app.models.audit import AuditEntry
from app.sandbox.accounts import APP_ID, BY_LOGIN
from app.viewer import OPERATOR, Role, Viewer
from tests.accounts.consents import chosen
from tests.factories import (
    ATELIER_NORD,
    ATELIER_NORD_PAGE,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    an_account,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

BACK = "http://127.0.0.1:8000/accounts/connected/"


@pytest.fixture
def apps(meta: Sandbox) -> Iterator[Sandbox]:
    with settings.using(meta_app_id=APP_ID, meta_instagram_app_id=APP_ID):
        yield meta


@pytest.fixture
def database(sqlite_database: str) -> str:
    """One kind is enough: what is told apart here is Meta's answers."""
    return sqlite_database


def row(ig_account_id: str = MAISON_LUNE) -> Account:
    db.session.rollback()
    return db.session.scalars(select(Account).where(Account.ig_account_id == ig_account_id)).one()


def led(login: str = "instagram", choice: str = "allow") -> tuple[AuthorizationAttempt, dict[str, str]]:
    address, attempt = authorization.begin(OPERATOR, login, back_url=BACK + login)
    return attempt, chosen(address, choice)


def finished(
    attempt: AuthorizationAttempt | None, sent: dict[str, str], login: str = "instagram"
) -> list[ListedAccount]:
    code = sent.get("code", "")
    return authorization.finish(OPERATOR, attempt, login=login, state=sent["state"], code=code, back_url=BACK + login)


def refusal(attempt: AuthorizationAttempt | None, sent: dict[str, str], login: str = "instagram") -> str:
    with pytest.raises(Invalid) as refused:
        finished(attempt, sent, login)
    assert listing.accounts(OPERATOR) == []
    return str(refused.value)


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_instagram_account_is_connected_by_its_owner_in_either_shape(apps: Sandbox, wrapped: bool) -> None:
    apps.request("PATCH", "settings", wrapped=wrapped)
    [added] = finished(*led())
    account = row()
    assert (added.ig_account_id, added.username) == (MAISON_LUNE, "maison.lune")  # never the app-scoped id
    assert (account.ig_app_scoped_id, account.own_ids) == (MAISON_LUNE_APP_SCOPED, [MAISON_LUNE_APP_SCOPED])
    assert account.token is not None
    assert account.token.reveal().startswith("IGAAsandboxLong")
    assert account.token_expires_at is not None
    assert account.token_at is not None
    assert timedelta(days=59) < account.token_expires_at - account.token_at < timedelta(days=61)
    assert account.permissions == sorted(INSTAGRAM_PERMISSIONS)
    assert account.subscription_checked_at is not None
    assert account.missing_subscriptions is None
    assert "account_connected" in db.session.scalars(select(AuditEntry.action)).all()


def test_pages_of_an_owner_are_connected_with_tokens_that_do_not_expire(apps: Sandbox) -> None:
    [added] = finished(*led("facebook"), "facebook")
    account = row(ATELIER_NORD)
    assert added.ig_account_id == ATELIER_NORD
    assert (account.ig_page_id, account.own_ids) == (ATELIER_NORD_PAGE, [ATELIER_NORD_PAGE])
    assert account.token is not None
    assert account.token.reveal() == "EAAsandboxAtelierNord0123456789"
    assert (account.token_expires_at, account.permissions) == (None, sorted(FACEBOOK_PERMISSIONS))
    assert account.owner_id == BY_LOGIN["facebook"].app_scoped_id
    assert not [call for call in apps.get("calls") if call["token_in_query"]]


def test_a_permission_that_was_not_given_is_known(apps: Sandbox) -> None:
    finished(*led(choice="less"))
    assert row().permissions == [INSTAGRAM_PERMISSIONS[0]]


def test_a_connected_account_gets_the_new_token(apps: Sandbox) -> None:
    before = an_account(state=AccountState.RECONNECT, state_reason="Dead", token_problem="Dead", location_id="paris")
    finished(*led())
    after = row()
    assert (after.id, after.state, after.state_reason, after.token_problem, after.location_id) == (
        before.id,
        AccountState.CONNECTED,
        None,
        None,
        "paris",
    )
    assert after.token is not None
    assert after.token.reveal().startswith("IGAAsandboxLong")


def test_only_the_word_of_this_session_is_taken_once_and_soon(apps: Sandbox, frozen_clock: FrozenClock) -> None:
    attempt, sent = led()
    assert "has expired or was already used" in refusal(None, sent)
    assert "has expired or was already used" in refusal(attempt, sent | {"state": "another"})
    assert "has expired or was already used" in refusal(replace(attempt, state="another"), sent)
    assert "has expired or was already used" in refusal(attempt, sent, "facebook")
    frozen_clock.forward(minutes=11)
    assert "has expired or was already used" in refusal(attempt, sent)
    frozen_clock.forward(minutes=-11)
    finished(attempt, sent)
    connect.remove(OPERATOR, MAISON_LUNE)
    assert "has expired or was already used" in refusal(attempt, sent)


def test_a_declined_consent_and_a_used_code_connect_nothing(apps: Sandbox) -> None:
    assert "declined" in refusal(*led(choice="deny"))
    attempt, _ = led()
    assert "Meta did not issue a token" in refusal(attempt, {"state": attempt.state, "code": "used"})
    attempt, sent = led()
    with settings.using(meta_instagram_app_secret="of another app"):
        assert "Meta did not issue a token" in refusal(attempt, sent)


def test_an_owner_without_a_page_with_an_account_gets_an_explanation(apps: Sandbox) -> None:
    assert "None of the selected Pages" in refusal(*led("facebook", "bare"), "facebook")


def test_a_page_that_meta_does_not_list_is_found_through_what_the_token_was_granted(apps: Sandbox) -> None:
    apps.request("PATCH", "settings", pages="granted")
    [added] = finished(*led("facebook"), "facebook")
    account = row(ATELIER_NORD)
    assert (added.ig_account_id, account.ig_page_id) == (ATELIER_NORD, ATELIER_NORD_PAGE)
    assert account.token is not None
    assert account.token.reveal() == "EAAsandboxAtelierNord0123456789"
    assert account.subscription_problem is None


def test_an_authorization_without_a_page_explains_what_to_do(apps: Sandbox) -> None:
    apps.request("PATCH", "settings", pages="none")
    said = refusal(*led("facebook"), "facebook")
    assert "Meta returned no Page" in said
    assert "business portfolio" in said
    assert "business_management" in said


def test_facebook_login_asks_for_the_permission_to_receive_messages(apps: Sandbox) -> None:
    address, _ = authorization.begin(OPERATOR, "facebook", back_url=BACK + "facebook")
    assert "pages_messaging" in address


def test_while_meta_or_redis_is_unavailable_connecting_may_be_retried(apps: Sandbox) -> None:
    attempt, sent = led()
    with settings.using(redis_url="unix:///nowhere/redis.sock"), pytest.raises(Unavailable):
        finished(attempt, sent)
    with settings.using(graph_instagram_url="http://127.0.0.1:9"), pytest.raises(Unavailable):
        finished(attempt, sent)
    assert listing.accounts(OPERATOR) == []


def test_only_admins_of_an_installation_with_an_app_can_authorize(app: Flask) -> None:
    ops = Viewer(user_id=1, name="Oskar", role=Role.OPS)
    with pytest.raises(Forbidden):
        authorization.begin(ops, "instagram", back_url=BACK)
    with pytest.raises(Forbidden):
        authorization.finish(ops, None, login="instagram", state="", code="", back_url=BACK)
    for login in ("instagram", "telegram"):
        with pytest.raises(NotFound):
            authorization.begin(OPERATOR, login, back_url=BACK)
    assert authorization.available_logins() == ()
    with settings.using(meta_app_id=APP_ID):
        assert authorization.available_logins() == ("facebook",)
