"""Connecting accounts: checks of access tokens, encryption, and what reconnecting changes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import settings
from app.accounts import connect, listing
from app.accounts.connect import AccountCheck
from app.calls import gateway
from app.calls import oauth_flow as calls_consent
from app.db.engine import db
from app.erasure import accounts
from app.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from app.models.account import Account, AccountState, Login
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.sandbox.accounts import APP_ID, BY_LOGIN, SYSTEM_USER_TOKEN
from app.users import api_tokens
from app.viewer import OPERATOR, Role, Viewer
from tests.accounts.consents import chosen
from tests.factories import (
    ATELIER_NORD,
    ATELIER_NORD_PAGE,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    MAISON_LUNE_IGSID,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    an_account,
    people_wrote,
)
from tests.instagram.graph import Graph, Request, always, answer, sampled
from tests.sandbox.calls import FACEBOOK_TOKEN, INSTAGRAM_TOKEN, exchange
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook

TOKEN = "IGAAcanaryTokenOfATest"
ME = {"user_id": MAISON_LUNE, "id": MAISON_LUNE_APP_SCOPED, "username": "maison.lune", "account_type": "BUSINESS"}
PAGE = {"id": ATELIER_NORD_PAGE, "instagram_business_account": {"id": ATELIER_NORD, "username": "atelier.nord"}}

PERSON = (
    {"code": 100, "message": "(#100) Tried accessing nonexisting field (instagram_business_account)"},
    "This is a user access token",
)
UNPROVED = ({"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}, "do not match")
OTHER_HOST = (
    {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"},
    "the other login type",
)


@pytest.fixture
def graph(app: Flask) -> Iterator[Graph]:
    with (
        Graph(always(answer(ME))) as graph,
        settings.using(graph_instagram_url=graph.url, graph_facebook_url=graph.url, graph_timeout_seconds=1.0),
    ):
        yield graph


def row(ig_account_id: str = MAISON_LUNE) -> Account:
    db.session.rollback()
    return db.session.scalars(select(Account).where(Account.ig_account_id == ig_account_id)).one()


def test_an_account_is_connected_under_every_id_it_has(graph: Graph) -> None:
    added = connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, own_ids=[MAISON_LUNE_IGSID])
    account = row()
    assert (added.username, account.login, account.state) == ("maison.lune", Login.INSTAGRAM, AccountState.CONNECTED)
    assert account.own_ids == sorted([MAISON_LUNE_APP_SCOPED, MAISON_LUNE_IGSID])
    assert account.ig_app_scoped_id == MAISON_LUNE_APP_SCOPED


def test_facebook_login_knows_its_page(graph: Graph) -> None:
    graph.say = always(answer(PAGE))
    connect.add(OPERATOR, ATELIER_NORD, login="facebook", token=TOKEN)
    account = row(ATELIER_NORD)
    assert (account.ig_page_id, account.own_ids, account.username) == (
        ATELIER_NORD_PAGE,
        [ATELIER_NORD_PAGE],
        "atelier.nord",
    )


def test_the_token_is_stored_hidden(graph: Graph) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    stored = row().token
    assert stored is not None
    assert TOKEN not in stored.encrypted
    assert stored.reveal() == TOKEN


def test_another_accounts_token_connects_nothing(graph: Graph) -> None:
    with pytest.raises(Invalid, match=f"is for account {MAISON_LUNE}, not for 17841400000000999"):
        connect.add(OPERATOR, "17841400000000999", login="instagram", token=TOKEN)
    assert listing.accounts(OPERATOR) == []


def test_a_dead_token_connects_nothing_and_is_not_repeated(graph: Graph) -> None:
    graph.say = always(sampled("profile-error-190"))
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    assert list(refused.value.fields) == ["token"]
    assert TOKEN not in str(refused.value)
    assert listing.accounts(OPERATOR) == []


def test_no_account_is_connected_while_meta_is_unavailable(graph: Graph) -> None:
    graph.say = always(answer({"error": {"code": 2, "message": "x", "is_transient": True}}, status=500))
    with pytest.raises(Unavailable):
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    assert listing.accounts(OPERATOR) == []


def test_without_a_check_no_call_is_made(graph: Graph) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, username="maison.lune", check=False)
    assert graph.requests == []
    assert row().username == "maison.lune"


def test_connecting_again_brings_a_new_token_and_keeps_what_is_known(graph: Graph) -> None:
    before = an_account(
        MAISON_LUNE, state=AccountState.RECONNECT, state_reason="The token is dead", location_id="paris"
    )
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, own_ids=["555"], check=False)
    after = row()
    assert (after.id, after.username, after.location_id) == (before.id, "maison.lune", "paris")
    assert (after.state, after.state_reason) == (AccountState.CONNECTED, None)
    assert after.token is not None
    assert after.token.reveal() == TOKEN
    assert set(after.own_ids) == {"555", MAISON_LUNE_IGSID}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ig_account_id": "maison.lune"}, "ig_account_id"),
        ({"ig_account_id": ""}, "ig_account_id"),
        ({"own_ids": ["x"]}, "own_ids"),
        ({"page_id": "1/2"}, "own_ids"),
        ({"token": ""}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "line\nbreak"}, "token"),
        ({"login": "telegram"}, "login"),
    ],
)
def test_malformed_input_connects_nothing(graph: Graph, changes: dict[str, Any], field: str) -> None:
    values: dict[str, Any] = {"ig_account_id": MAISON_LUNE, "login": "instagram", "token": TOKEN} | changes
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, values.pop("ig_account_id"), **values)
    assert list(refused.value.fields) == [field]
    assert graph.requests == []


def test_the_id_is_found_out_when_it_is_left_out(graph: Graph) -> None:
    assert connect.add(OPERATOR, None, login="instagram", token=TOKEN).ig_account_id == MAISON_LUNE
    with pytest.raises(Invalid, match="when the access token is not checked"):
        connect.add(OPERATOR, None, login="instagram", token=TOKEN, check=False)


@pytest.mark.parametrize(("known", "login"), [(PERSON, "facebook"), (UNPROVED, "facebook"), (OTHER_HOST, "instagram")])
def test_a_rejected_access_token_shows_the_reason(graph: Graph, known: tuple[dict[str, Any], str], login: str) -> None:
    error, says = known
    graph.say = always(answer({"error": error}, status=400))
    with pytest.raises(Invalid, match=says):
        connect.add(OPERATOR, None, login=login, token=TOKEN)
    assert listing.accounts(OPERATOR) == []


def test_ids_that_come_as_json_numbers_connect(meta: Sandbox) -> None:
    meta.request("PATCH", "settings", numeric_ids=True)
    assert connect.add(OPERATOR, None, login="instagram", token=INSTAGRAM_TOKEN).ig_account_id == MAISON_LUNE
    assert row().ig_app_scoped_id == MAISON_LUNE_APP_SCOPED
    assert connect.add(OPERATOR, None, login="facebook", token=FACEBOOK_TOKEN).ig_account_id == ATELIER_NORD
    page = row(ATELIER_NORD)
    assert (page.ig_page_id, page.owner_id) == (ATELIER_NORD_PAGE, BY_LOGIN["facebook"].app_scoped_id)


@pytest.mark.parametrize("user_id", [None, 2**63, True, 1.5, ["17841400000000101"]])
def test_an_answer_without_a_usable_account_id_is_not_called_an_outage(graph: Graph, user_id: object) -> None:
    told = {"id": MAISON_LUNE_APP_SCOPED, "username": "maison.lune"}
    graph.say = always(answer({"data": [told | ({} if user_id is None else {"user_id": user_id})]}))
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, None, login="instagram", token=TOKEN)
    words = "does not name the professional account" if user_id is None else "could not be understood"
    assert words in refused.value.fields["token"]
    assert listing.accounts(OPERATOR) == []


@pytest.mark.parametrize("pages", ["listed", "granted"])
def test_a_system_user_token_connects_the_account_of_its_page(meta: Sandbox, pages: str) -> None:
    meta.request("PATCH", "settings", pages=pages)
    added = connect.add(OPERATOR, None, login="facebook", token=SYSTEM_USER_TOKEN)
    account = row(ATELIER_NORD)
    assert (added.ig_account_id, account.login, account.ig_page_id) == (ATELIER_NORD, Login.FACEBOOK, ATELIER_NORD_PAGE)
    assert account.token is not None
    assert account.token.reveal() == FACEBOOK_TOKEN
    assert connect.check(OPERATOR, ATELIER_NORD) == AccountCheck()


def test_a_system_user_token_without_a_page_says_what_it_is_and_what_to_do(meta: Sandbox) -> None:
    meta.request("PATCH", "settings", pages="none")
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, None, login="facebook", token=SYSTEM_USER_TOKEN)
    said = refused.value.fields["token"]
    assert "access token of a system user" in said
    assert "Unified Login" in said
    assert "person" not in said


def test_a_user_token_connects_the_account_of_its_page(meta: Sandbox) -> None:
    with settings.using(meta_app_id=APP_ID):
        address = calls_consent.authorize_url(Login.FACEBOOK, back_url="http://127.0.0.1:8000/back", state="s")
        code = chosen(address)["code"]
        path = "facebook/v26.0/oauth/access_token"
        user = exchange(meta, path, code=code)[1]["access_token"]
        added = connect.add(OPERATOR, ATELIER_NORD, login="facebook", token=user)
    account = row(ATELIER_NORD)
    assert account.token is not None
    assert (added.ig_account_id, account.token.reveal()) == (ATELIER_NORD, FACEBOOK_TOKEN)
    assert (account.token_expires_at, account.owner_id) == (None, BY_LOGIN["facebook"].app_scoped_id)
    assert "pages_messaging" in (account.permissions or [])


def test_an_account_of_unified_login_is_connected_by_its_own_id_without_a_page(meta: Sandbox) -> None:
    meta.request("PATCH", "settings", pages="none")
    added = connect.add(OPERATOR, None, login="unified", token=SYSTEM_USER_TOKEN)
    account = row(ATELIER_NORD)
    assert (added.ig_account_id, added.username) == (ATELIER_NORD, "atelier.nord")
    assert (account.login, account.ig_page_id) == (Login.UNIFIED, None)
    assert account.permissions == ["instagram_basic", "instagram_manage_messages"]
    assert account.missing_subscriptions is None
    assert connect.check(OPERATOR, ATELIER_NORD) == AccountCheck()
    person = meta.get(f"people?account={ATELIER_NORD}")[0]["id"]
    meta.request("PATCH", f"people/{person}", username="known.one", error=None, refused_field=None)
    assert gateway.profile(account.id, person, purpose=Purpose.LIVE).username == "known.one"
    assert gateway.conversations(account.id, purpose=Purpose.SYNC, limit=1).threads == ()


def test_a_token_of_several_accounts_asks_which_one_is_meant(graph: Graph) -> None:
    pages = [PAGE | {"access_token": "EAApage1"}, PAGE | {"id": "9", "access_token": "EAApage2"}]
    pages[1] = pages[1] | {"instagram_business_account": {"id": MAISON_LUNE, "username": "maison.lune"}}

    def say(connection: Any, request: Request) -> None:
        path = request.target.partition("?")[0]
        answers: dict[str, bytes] = {
            "/v26.0/me": answer({"error": PERSON[0]}, status=400),
            "/v26.0/me/accounts": answer({"data": pages}),
        }
        connection.sendall(answers.get(path, answer({"data": []})))

    graph.say = say
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, None, login="facebook", token=TOKEN)
    assert ATELIER_NORD in refused.value.fields["ig_account_id"]
    assert connect.add(OPERATOR, MAISON_LUNE, login="facebook", token=TOKEN).ig_account_id == MAISON_LUNE


def test_an_admin_of_some_accounts_connects_no_other(graph: Graph) -> None:
    own = an_account(ATELIER_NORD)
    limited = Viewer(user_id=1, name="Ada", role=Role.ADMIN, account_ids=frozenset({own.id}))
    with pytest.raises(Forbidden):
        connect.add(limited, MAISON_LUNE, login="instagram", token=TOKEN)
    assert [account.ig_account_id for account in listing.accounts(OPERATOR)] == [ATELIER_NORD]
    connect.add(limited, ATELIER_NORD, login="facebook", token=TOKEN, check=False)


def test_only_admins_connect_and_remove(graph: Graph) -> None:
    ops = Viewer(user_id=1, name="Oskar", role=Role.OPS)
    with pytest.raises(Forbidden):
        connect.add(ops, MAISON_LUNE, login="instagram", token=TOKEN)
    an_account()
    with pytest.raises(Forbidden):
        connect.remove(ops, MAISON_LUNE)


def test_a_check_says_whether_the_token_works(meta: Sandbox) -> None:
    a_sandbox_account()
    assert connect.check(OPERATOR, MAISON_LUNE) == AccountCheck()
    assert row().subscription_checked_at is not None
    meta.post("faults", mode="190")
    assert connect.check(OPERATOR, MAISON_LUNE).problem
    assert listing.by_ig_id(OPERATOR, MAISON_LUNE).state is AccountState.RECONNECT
    with pytest.raises(NotFound):
        connect.check(OPERATOR, "404")


def test_what_arrives_for_an_account_that_must_be_reconnected_is_stored(app: Flask) -> None:
    account = an_account(MAISON_LUNE, token=None, state=AccountState.RECONNECT)
    body = a_delivery(a_message_event(LEA))
    receive_webhook(body)
    assert db.session.scalars(select(Conversation.account_id)).all() == [account.id]


def test_a_removed_account_is_forgotten_and_the_others_stay(app: Flask) -> None:
    an_account(MAISON_LUNE)
    other = an_account(ATELIER_NORD)
    for ig_account_id in (MAISON_LUNE, ATELIER_NORD):
        body = a_delivery(a_message_event(LEA, recipient=ig_account_id), ig_account_id=ig_account_id)
        receive_webhook(body)
    connect.remove(OPERATOR, MAISON_LUNE)
    assert row().token is None
    with pytest.raises(Conflict, match="being deleted"):
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, check=False)
    accounts.delete_pending()
    assert [account.ig_account_id for account in listing.accounts(OPERATOR)] == [ATELIER_NORD]
    assert db.session.scalars(select(Conversation.account_id)).all() == [other.id]
    with pytest.raises(NotFound):
        connect.remove(OPERATOR, MAISON_LUNE)


def test_who_was_limited_to_a_removed_account_does_not_see_the_next(app: Flask) -> None:
    first = connect.add(OPERATOR, MAISON_LUNE, login="instagram", token="IGAAone", check=False)
    secret = api_tokens.create(OPERATOR, "crm", ["read"], [first.id])
    connect.remove(OPERATOR, MAISON_LUNE)
    accounts.delete_pending()
    connect.add(OPERATOR, ATELIER_NORD, login="facebook", token="EAAtwo", check=False)
    token = api_tokens.authenticate(secret)
    assert token is not None
    assert listing.accounts(token.viewer()) == []


def test_an_id_that_turns_out_to_be_the_account_s_own_is_no_contact_any_more(app: Flask) -> None:
    an_account(own_ids=[])
    people_wrote("1520000000000555", LEA)
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, own_ids=["1520000000000555"], check=False)
    db.session.expire_all()
    for found in (select(Conversation.ig_participant_id), select(Identity.ig_participant_id)):
        assert db.session.scalars(found).all() == [LEA]
