"""Connecting accounts: whose token it is, how it is kept, and what another connection changes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import settings
from app.accounts import connect, listing
from app.db.engine import db
from app.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from app.ingest import forget, receive
from app.models.identity import Identity
from app.models.inbox import Account, AccountState, Conversation, Login
from app.users import api_tokens
from app.viewer import OPERATOR, Role, Viewer
from tests.bed.processes import Sandbox
from tests.cast import (
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
    signed,
)
from tests.instagram.graph import Graph, always, answer, sampled

TOKEN = "IGAAcanaryTokenOfATest"
ME = {"user_id": MAISON_LUNE, "id": MAISON_LUNE_APP_SCOPED, "username": "maison.lune", "account_type": "BUSINESS"}
PAGE = {"id": ATELIER_NORD_PAGE, "instagram_business_account": {"id": ATELIER_NORD, "username": "atelier.nord"}}

PERSON = (
    {"code": 100, "message": "(#100) Tried accessing nonexisting field (instagram_business_account)"},
    "the token of a person",
)
UNPROVED = ({"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}, "another app's")
OTHER_HOST = (
    {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"},
    "the other kind of login",
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
    with pytest.raises(Invalid, match=f"belongs to account {MAISON_LUNE}, not to 17841400000000999"):
        connect.add(OPERATOR, "17841400000000999", login="instagram", token=TOKEN)
    assert listing.accounts(OPERATOR) == []


def test_a_dead_token_connects_nothing_and_is_not_repeated(graph: Graph) -> None:
    graph.say = always(sampled("profile-error-190"))
    with pytest.raises(Invalid) as refused:
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    assert list(refused.value.fields) == ["token"]
    assert TOKEN not in str(refused.value)
    assert listing.accounts(OPERATOR) == []


def test_nothing_is_connected_while_meta_is_away(graph: Graph) -> None:
    graph.say = always(answer({"error": {"code": 2, "message": "x", "is_transient": True}}, status=500))
    with pytest.raises(Unavailable):
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    assert listing.accounts(OPERATOR) == []


def test_without_a_check_nobody_is_asked(graph: Graph) -> None:
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
    with pytest.raises(Invalid, match="needed when Meta is not asked"):
        connect.add(OPERATOR, None, login="instagram", token=TOKEN, check=False)


@pytest.mark.parametrize(("known", "login"), [(PERSON, "facebook"), (UNPROVED, "facebook"), (OTHER_HOST, "instagram")])
def test_a_token_that_cannot_do_says_why(graph: Graph, known: tuple[dict[str, Any], str], login: str) -> None:
    error, says = known
    graph.say = always(answer({"error": error}, status=400))
    with pytest.raises(Invalid, match=says):
        connect.add(OPERATOR, None, login=login, token=TOKEN)
    assert listing.accounts(OPERATOR) == []


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
    assert connect.check(OPERATOR, MAISON_LUNE) is None
    assert row().subscription_checked_at is not None
    meta.post("faults", mode="190")
    problem = connect.check(OPERATOR, MAISON_LUNE)
    assert problem
    assert listing.by_ig_id(OPERATOR, MAISON_LUNE).state is AccountState.RECONNECT
    with pytest.raises(NotFound):
        connect.check(OPERATOR, "404")


def test_what_arrives_for_an_account_that_must_be_reconnected_is_stored(app: Flask) -> None:
    account = an_account(MAISON_LUNE, token=None, state=AccountState.RECONNECT)
    body = a_delivery(a_message_event(LEA))
    receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    assert db.session.scalars(select(Conversation.account_id)).all() == [account.id]


def test_a_removed_account_is_forgotten_and_the_others_stay(app: Flask) -> None:
    an_account(MAISON_LUNE)
    other = an_account(ATELIER_NORD)
    for ig_account_id in (MAISON_LUNE, ATELIER_NORD):
        body = a_delivery(a_message_event(LEA, recipient=ig_account_id), ig_account_id=ig_account_id)
        receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    connect.remove(OPERATOR, MAISON_LUNE)
    assert row().token is None
    with pytest.raises(Conflict, match="being deleted"):
        connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, check=False)
    forget.accounts()
    assert [account.ig_account_id for account in listing.accounts(OPERATOR)] == [ATELIER_NORD]
    assert db.session.scalars(select(Conversation.account_id)).all() == [other.id]
    with pytest.raises(NotFound):
        connect.remove(OPERATOR, MAISON_LUNE)


def test_who_was_limited_to_a_removed_account_does_not_see_the_next(app: Flask) -> None:
    first = connect.add(OPERATOR, MAISON_LUNE, login="instagram", token="IGAAone", check=False)
    secret = api_tokens.create(OPERATOR, "crm", ["read"], [first.id])
    connect.remove(OPERATOR, MAISON_LUNE)
    forget.accounts()
    connect.add(OPERATOR, ATELIER_NORD, login="facebook", token="EAAtwo", check=False)
    token = api_tokens.presented(secret)
    assert token is not None
    assert listing.accounts(token.viewer()) == []


def test_an_id_that_turns_out_to_be_the_account_s_own_is_no_contact_any_more(app: Flask) -> None:
    an_account(own_ids=[])
    people_wrote("1520000000000555", LEA)
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN, own_ids=["1520000000000555"], check=False)
    db.session.expire_all()
    for found in (select(Conversation.ig_participant_id), select(Identity.ig_participant_id)):
        assert db.session.scalars(found).all() == [LEA]
