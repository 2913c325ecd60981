"""Requests of account owners that match no account: open until their ID becomes known or an admin acts."""

import threading
from http import HTTPStatus

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import settings
from app.accounts import connect, health, subscriptions
from app.accounts.connect import AccountCheck
from app.db.engine import db
from app.erasure import accounts, meta_callbacks, owner_requests
from app.errors import Forbidden, NotFound
from app.models.account import Account, AccountState, Login
from app.models.audit import Action, AuditEntry
from app.models.conversation import Conversation
from app.models.erasure import Outcome
from app.models.identity import Identity
from app.sandbox.accounts import APP_ID, SYSTEM_USER_TOKEN
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    ATELIER_NORD_PAGE,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    a_sandbox_account,
    an_account,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.signed_requests import a_signed_request

INSTAGRAM_TOKEN, PAGE_TOKEN = "IGAAsandboxMaisonLune0123456789", "EAAsandboxAtelierNord0123456789"
OWNER = "24900000000000888"  # who authorized the sandbox's Page


def stored_accounts() -> list[Account]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Account).order_by(Account.id)))


def test_an_unmatched_deletion_request_stays_open_until_the_owner_is_known(meta: Sandbox) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN, check=False)
    people_wrote(LEA)
    code = meta_callbacks.request_deletion(a_signed_request())
    accounts.delete_pending()
    assert (meta_callbacks.get_deletion(code).done_at, len(stored_accounts())) == (None, 1)
    assert [each.user_id for each in owner_requests.open_requests(OPERATOR)] == [MAISON_LUNE_APP_SCOPED]
    connect.check(OPERATOR, MAISON_LUNE)
    accounts.delete_pending()
    assert stored_accounts() == []
    assert db.session.scalars(select(Conversation)).all() == []
    assert meta_callbacks.get_deletion(code).outcome is Outcome.DONE
    assert meta_callbacks.get_deletion(code).user_id is None
    assert owner_requests.open_requests(OPERATOR) == []


def test_the_hourly_check_finds_the_id_of_an_unchecked_account(meta: Sandbox) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN, check=False)
    health.check_refused()
    [account] = stored_accounts()
    assert account.ig_app_scoped_id == MAISON_LUNE_APP_SCOPED
    health.check_refused()
    assert [call["kind"] for call in meta.get("calls")] == ["me"]


def test_an_own_id_that_the_hourly_check_finds_is_no_longer_a_contact(meta: Sandbox) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN, check=False)
    people_wrote(MAISON_LUNE_APP_SCOPED, LEA)
    health.check_refused()
    db.session.rollback()
    for found in (select(Conversation.ig_participant_id), select(Identity.ig_participant_id)):
        assert db.session.scalars(found).all() == [LEA]


def test_an_hourly_check_without_a_permission_disconnects_no_account(meta: Sandbox) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN, check=False)
    meta.post("faults", mode="10", call="me")
    health.check_refused()
    assert [call["kind"] for call in meta.get("calls")] == ["me"]
    assert stored_accounts()[0].state is AccountState.CONNECTED


@pytest.mark.parametrize("check", [True, False])
def test_a_page_s_owner_is_found_when_connecting_and_at_the_next_check(meta: Sandbox, check: bool) -> None:
    with settings.using(meta_app_id=APP_ID):
        connect.add(OPERATOR, ATELIER_NORD, login="facebook", token=PAGE_TOKEN, page_id=ATELIER_NORD_PAGE, check=check)
        assert stored_accounts()[0].owner_id == (OWNER if check else None)
        health.check_refused()
    assert stored_accounts()[0].owner_id == OWNER
    meta_callbacks.deauthorize(a_signed_request(OWNER))
    assert (stored_accounts()[0].token, stored_accounts()[0].state) == (None, AccountState.RECONNECT)
    code = meta_callbacks.request_deletion(a_signed_request(OWNER))
    accounts.delete_pending()
    assert (stored_accounts(), meta_callbacks.get_deletion(code).outcome) == ([], Outcome.DONE)


@pytest.mark.parametrize("app_id", [APP_ID, ""])
@pytest.mark.parametrize(
    ("login", "token", "pages"),
    [
        ("facebook", PAGE_TOKEN, "listed"),
        ("facebook", SYSTEM_USER_TOKEN, "listed"),
        ("facebook", SYSTEM_USER_TOKEN, "granted"),
        ("unified", SYSTEM_USER_TOKEN, "none"),
    ],
)
def test_a_pasted_token_names_the_owner(meta: Sandbox, login: str, token: str, pages: str, app_id: str) -> None:
    meta.request("PATCH", "settings", pages=pages)
    with settings.using(meta_app_id=app_id):
        connect.add(OPERATOR, ATELIER_NORD, login=login, token=token)
    assert stored_accounts()[0].owner_id == OWNER
    code = meta_callbacks.request_deletion(a_signed_request(OWNER))
    accounts.delete_pending()
    assert (stored_accounts(), meta_callbacks.get_deletion(code).outcome) == ([], Outcome.DONE)


def test_the_hourly_check_finds_the_owner_of_an_account_of_unified_login(meta: Sandbox) -> None:
    connect.add(OPERATOR, ATELIER_NORD, login="unified", token=SYSTEM_USER_TOKEN, check=False)
    with settings.using(meta_app_id=APP_ID):
        health.check_refused()
    assert stored_accounts()[0].owner_id == OWNER


def test_a_page_works_although_meta_does_not_name_its_owner(meta: Sandbox) -> None:
    meta.post("faults", mode="500", call="debug_token")
    account = a_sandbox_account(ATELIER_NORD)
    with settings.using(meta_app_id=APP_ID):
        assert connect.check(OPERATOR, ATELIER_NORD) == AccountCheck()
    assert (stored_accounts()[0].id, stored_accounts()[0].owner_id) == (account.id, None)


@pytest.mark.parametrize("user_id", [MAISON_LUNE, MAISON_LUNE_APP_SCOPED, "1520000000000900", "10200000000000009"])
def test_every_known_id_of_an_account_and_its_owner_matches(app: Flask, user_id: str) -> None:
    an_account(owner_id="10200000000000009")
    assert meta_callbacks.deauthorize(a_signed_request(user_id))
    assert stored_accounts()[0].state is AccountState.RECONNECT


def test_a_deauthorization_does_not_stop_a_deletion(app: Flask) -> None:
    an_account()
    code = meta_callbacks.request_deletion(a_signed_request())
    meta_callbacks.deauthorize(a_signed_request())
    accounts.delete_pending()
    assert (stored_accounts(), meta_callbacks.get_deletion(code).outcome) == ([], Outcome.DONE)


def test_a_subscription_check_does_not_stop_a_deletion(meta: Sandbox) -> None:
    a_sandbox_account()
    meta_callbacks.request_deletion(a_signed_request())
    assert subscriptions.check(stored_accounts()[0].id).unknown
    assert stored_accounts()[0].state is AccountState.DELETING


def test_a_token_that_is_newer_than_a_deauthorization_is_kept(meta: Sandbox, frozen_clock: FrozenClock) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN, check=False)
    assert not meta_callbacks.deauthorize(a_signed_request())
    frozen_clock.forward(hours=1)
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=INSTAGRAM_TOKEN)
    owner_requests.carry_out_matched()
    assert stored_accounts()[0].state is AccountState.CONNECTED
    assert owner_requests.open_requests(OPERATOR) == []


def test_an_account_that_was_connected_later_is_not_deleted(app: Flask, frozen_clock: FrozenClock) -> None:
    meta_callbacks.request_deletion(a_signed_request())
    frozen_clock.forward(hours=1)
    an_account()
    accounts.delete_pending()
    assert len(stored_accounts()) == 1
    assert owner_requests.count_open(OPERATOR) == 1


def test_an_admin_assigns_a_request_to_its_account(app: Flask) -> None:
    an_account(ATELIER_NORD, login=Login.FACEBOOK)
    code = meta_callbacks.request_deletion(a_signed_request("10200000000000009"))
    owner_requests.assign(OPERATOR, code, ATELIER_NORD)
    assert owner_requests.open_requests(OPERATOR) == []
    assert meta_callbacks.get_deletion(code).done_at is None
    accounts.delete_pending()
    assert (stored_accounts(), meta_callbacks.get_deletion(code).outcome) == ([], Outcome.DONE)
    assert Action.OWNER_REQUEST_ASSIGNED in db.session.scalars(select(AuditEntry.action)).all()


def test_an_admin_closes_a_request_for_which_nothing_is_stored(app: Flask) -> None:
    code = meta_callbacks.request_deletion(a_signed_request("24900000000000999"))
    owner_requests.close(OPERATOR, code)
    closed = meta_callbacks.get_deletion(code)
    assert (closed.outcome, closed.user_id) == (Outcome.NOTHING_FOUND, None)
    with pytest.raises(NotFound):
        owner_requests.close(OPERATOR, code)


def test_only_an_admin_of_all_accounts_handles_requests(app: Flask) -> None:
    account = an_account()
    code = meta_callbacks.request_deletion(a_signed_request("24900000000000999"))
    limited = Viewer(2, "Oskar", Role.ADMIN, frozenset({account.id}))
    assert (owner_requests.open_requests(limited), owner_requests.count_open(limited)) == ([], 0)
    with pytest.raises(NotFound):
        owner_requests.close(limited, code)
    with pytest.raises(Forbidden):
        owner_requests.assign(Viewer(3, "Nadia", Role.OPS), code, MAISON_LUNE)
    with pytest.raises(NotFound):
        owner_requests.assign(OPERATOR, code, ATELIER_NORD)


def test_simultaneous_deletion_callbacks_get_one_code(app: Flask) -> None:
    an_account()
    body, start, answers = {"signed_request": a_signed_request()}, threading.Barrier(5), []

    def ask() -> None:
        client = app.test_client()
        start.wait()
        answers.append(client.post("/webhooks/instagram/data-deletion", data=body))

    asking = [threading.Thread(target=ask) for _ in range(5)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}
    assert len({answer.get_json()["confirmation_code"] for answer in answers}) == 1
    db.session.rollback()
    asked = select(func.count()).where(AuditEntry.action == Action.ACCOUNT_DELETION_ASKED)
    assert db.session.execute(asked).scalar_one() == 1
