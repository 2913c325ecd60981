"""Calls to Meta end to end against a stand-in: requested, logged, counted and stopped."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from socket import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from redis import Redis

from app import clock, settings
from app.calls import budget, gateway
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret
from app.errors import NotFound, RetryLater
from app.instagram import client
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.responses import Profile
from app.models.account import Account, AccountState, Login
from app.models.call import Purpose
from tests.calls.lookups import noted
from tests.factories import ATELIER_NORD, ATELIER_NORD_PAGE, GHOST, LEA, MAISON_LUNE, SHY, an_account
from tests.instagram.graph import Graph, Request, always, answer, reset, sampled, silent
from tests.support.processes import Sandbox

TOKEN = "IGAAcanary-of-a-test"


@pytest.fixture
def instagram() -> Iterator[Graph]:
    with Graph(always(sampled("profile"))) as started:
        yield started


@pytest.fixture
def facebook() -> Iterator[Graph]:
    with Graph(always(sampled("profile"))) as started:
        yield started


@pytest.fixture(autouse=True)
def graph_settings(app: Flask, instagram: Graph, facebook: Graph) -> Iterator[None]:
    addresses = {"graph_instagram_url": instagram.url, "graph_facebook_url": facebook.url}
    with settings.using(graph_calls_per_hour=20, graph_timeout_seconds=2.0, **addresses):
        yield


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account(token=TOKEN)


def look(account: Account, purpose: Purpose = Purpose.LIVE) -> Profile:
    return gateway.profile(account.id, LEA, purpose=purpose)


def failure_of(call: Callable[[], object]) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        call()
    return caught.value


def used(account: Account) -> int:
    forecast = budget.forecast(account.id)
    assert forecast
    return forecast.used


def row_of(account: Account) -> Account:
    return db.session.get_one(Account, account.id, populate_existing=True)


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}


def test_a_profile_call_is_counted_and_logged(account: Account, instagram: Graph) -> None:
    profile = gateway.profile(account.id, LEA, purpose=Purpose.BACKFILL, run_id="0123456789ab")
    assert profile.username == "lena.moreau"
    assert used(account) == 1
    (row,) = noted()
    assert (row.account_id, row.call, row.purpose) == (account.id, "profile", Purpose.BACKFILL)
    assert (row.ig_participant_id, row.run_id) == (LEA, "0123456789ab")
    assert (row.http_status, row.code, row.answer) == (200, None, "username, name, picture")
    assert row.took_ms is not None
    assert abs(row.at - clock.now()) < timedelta(seconds=10)


def test_the_row_exists_before_the_call_is_made(account: Account, instagram: Graph, app: Flask) -> None:
    before: list[tuple[int, int | None]] = []

    def say(connection: socket, request: Request) -> None:
        with app.app_context():
            before.extend((row.id, row.http_status) for row in noted())
            db.session.remove()
        always(sampled("profile"))(connection, request)

    instagram.say = say
    look(account)
    assert [status for _, status in before] == [None]


def test_a_failure_is_logged_with_its_code_and_sentence(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("profile-error-230"))
    failure = failure_of(lambda: look(account))
    assert (failure.scope, failure.reason) == (Scope.CONTACT, Reason.CONSENT)
    (row,) = noted()
    assert (row.http_status, row.code, row.answer) == (403, "230", failure.sentence)


def test_a_call_without_a_result_counts(account: Account, instagram: Graph) -> None:
    instagram.say = reset
    assert failure_of(lambda: look(account)).scope is Scope.NETWORK
    assert used(account) == 1
    assert noted()[0].code == "reset"


def test_a_refused_field_is_left_out_by_a_second_counted_call(account: Account, instagram: Graph) -> None:
    def say(connection: socket, request: Request) -> None:
        wire = sampled("profile-error-100" if "profile_pic" in request.target else "profile")
        always(wire)(connection, request)

    instagram.say = say
    assert look(account).username == "lena.moreau"
    assert [query(request)["fields"] for request in instagram.requests] == [
        "name,username,profile_pic",
        "name,username",
    ]
    assert used(account) == len(noted()) == 2


def test_a_field_that_is_refused_repeatedly_fails_the_call(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("profile-error-100"))
    assert failure_of(lambda: look(account)).scope is Scope.FIELD
    assert len(instagram.requests) == 2


def test_an_instagram_login_reads_its_conversations_as_me(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("conversations-page1"))
    page = gateway.conversations(account.id, purpose=Purpose.BACKFILL, limit=2, after="cursor")
    assert (len(page.threads), page.after) == (2, "QVFIUafter1")
    assert urlsplit(instagram.requests[0].target).path == "/v26.0/me/conversations"
    assert query(instagram.requests[0])["after"] == "cursor"
    assert noted()[0].answer == "2 conversations"
    assert used(account) == 1


def test_a_facebook_login_reads_the_conversations_of_its_page_with_a_proof(facebook: Graph, instagram: Graph) -> None:
    facebook.say = always(sampled("conversations-page1"))
    gateway.conversations(an_account(ATELIER_NORD, token="EAAcanary").id, purpose=Purpose.BACKFILL, limit=2)
    sent = facebook.requests[0]
    assert urlsplit(sent.target).path == f"/v26.0/{ATELIER_NORD_PAGE}/conversations"
    assert query(sent)["platform"] == "instagram"
    assert query(sent)["appsecret_proof"]
    assert sent.headers["authorization"] == "Bearer EAAcanary"
    assert instagram.requests == []


def test_the_token_is_in_no_query_log_or_row(
    account: Account, instagram: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hostile = {"error": {"code": 190, "message": f"Malformed access token {TOKEN}"}}
    look(account)
    for say in (reset, always(answer(hostile, status=400))):
        instagram.say = say
        failure = failure_of(lambda: look(account))
        assert TOKEN not in f"{failure!r}{failure.sentence}"
    assert len(instagram.requests) == 3
    assert all(TOKEN not in request.target for request in instagram.requests)
    assert TOKEN not in caplog.text
    assert TOKEN not in str([(row.answer, row.code) for row in noted()])
    assert TOKEN not in str(row_of(account).state_reason)


def test_a_used_up_budget_causes_no_call(account: Account, instagram: Graph) -> None:
    for _ in range(16):
        look(account, Purpose.BACKFILL)
    with pytest.raises(RetryLater):
        look(account, Purpose.BACKFILL)
    assert len(instagram.requests) == len(noted()) == 16
    look(account, Purpose.LIVE)


def test_a_flush_after_every_call_does_not_exceed_the_budget(account: Account, instagram: Graph, redis: Redis) -> None:
    for _ in range(20):
        look(account)
        redis.flushall()
    with pytest.raises(RetryLater):
        look(account)
    assert len(instagram.requests) == 20


@pytest.mark.parametrize("name", ["profile-error-17", "profile-error-613", "profile-error-80002", "profile-error-4"])
def test_one_rate_limit_error_stops_calls(account: Account, instagram: Graph, name: str) -> None:
    instagram.say = always(sampled(name))
    assert failure_of(lambda: look(account)).reason is Reason.RATE_LIMITED
    with pytest.raises(RetryLater) as caught:
        look(account)
    minutes = 19 if name == "profile-error-80002" else 1
    assert timedelta(minutes=minutes - 0.2) < caught.value.until - clock.now() <= timedelta(minutes=minutes)
    assert len(instagram.requests) == 1


def test_an_invalid_token_stops_only_its_account(account: Account, instagram: Graph, facebook: Graph) -> None:
    instagram.say = always(sampled("profile-error-190"))
    failure_of(lambda: look(account))
    with pytest.raises(RetryLater):
        look(account)
    assert len(instagram.requests) == 1
    assert row_of(account).state is AccountState.RECONNECT
    look(an_account(ATELIER_NORD))


def test_calls_resume_immediately_with_a_new_token(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("profile-error-190"))
    failure_of(lambda: look(account))
    instagram.say = always(sampled("profile"))
    with transaction.write() as tx:
        row = tx.session.get_one(Account, account.id)
        row.token, row.state = Secret.hide("IGAAnew"), AccountState.CONNECTED
    assert look(account).username == "lena.moreau"
    assert instagram.requests[-1].headers["authorization"] == "Bearer IGAAnew"


def test_five_timeouts_stop_the_account(account: Account, instagram: Graph) -> None:
    instagram.say = silent
    with settings.using(graph_timeout_seconds=0.05):
        for _ in range(5):
            assert failure_of(lambda: look(account)).reason is Reason.TIMEOUT
        with pytest.raises(RetryLater):
            look(account)
    assert len(instagram.requests) == 5


def test_metas_usage_slows_background_calls(account: Account, instagram: Graph) -> None:
    busy = '{"17841400000000101": [{"type": "instagram", "call_count": 91}]}'
    instagram.say = always(answer({"id": LEA, "username": "lena"}, X_Business_Use_Case_Usage=busy))
    look(account, Purpose.BACKFILL)
    look(account, Purpose.BACKFILL)
    with pytest.raises(RetryLater):
        look(account, Purpose.BACKFILL)
    look(account, Purpose.LIVE)


def test_without_redis_no_call_is_made(account: Account, instagram: Graph) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"), pytest.raises(RetryLater):
        look(account)
    assert instagram.requests == []
    assert noted() == []


def test_a_call_inside_a_transaction_is_refused(account: Account, instagram: Graph) -> None:
    calls: list[Callable[[], object]] = [
        lambda: look(account),
        lambda: gateway.conversations(account.id, purpose=Purpose.LIVE, limit=1),
        lambda: gateway.token_owner(account.id),
        lambda: gateway.owner_of_new_token(Login.INSTAGRAM, TOKEN),
    ]
    for call in calls:
        with transaction.write(), pytest.raises(RuntimeError, match="transaction"):
            call()
    assert instagram.requests == []


def test_no_transaction_is_open_during_a_call(
    account: Account, instagram: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    real = client.profile

    def watched(*arguments: Any, **more: Any) -> Profile:
        seen.append(db.session().in_transaction())
        return real(*arguments, **more)

    monkeypatch.setattr(client, "profile", watched)
    look(account)
    assert seen == [False]


def test_an_account_that_does_not_exist_is_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        gateway.profile(4711, LEA, purpose=Purpose.LIVE)


def test_a_check_passes_an_open_circuit_and_closes_it(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("profile-error-190"))
    failure_of(lambda: look(account))
    instagram.say = always(sampled("me"))
    assert gateway.token_owner(account.id).ig_account_id == MAISON_LUNE
    assert row_of(account).state is AccountState.CONNECTED
    instagram.say = always(sampled("profile"))
    look(account)
    assert [(row.call, row.purpose) for row in noted()][1] == ("me", Purpose.CHECK)
    assert used(account) == 2


def test_a_failed_check_leaves_the_circuit_open(account: Account, instagram: Graph) -> None:
    instagram.say = always(sampled("profile-error-190"))
    failure_of(lambda: gateway.token_owner(account.id))
    assert row_of(account).state is AccountState.RECONNECT


def test_the_token_of_another_account_fails_the_check(account: Account, instagram: Graph) -> None:
    instagram.say = always(answer({"user_id": ATELIER_NORD, "username": "atelier.nord"}))
    assert failure_of(lambda: gateway.token_owner(account.id)).code == "other_account"
    assert row_of(account).state_reason == gateway.OTHER_ACCOUNT


def test_a_check_of_a_page_reads_its_account(facebook: Graph) -> None:
    linked = {"id": ATELIER_NORD, "username": "atelier.nord"}
    facebook.say = always(answer({"id": ATELIER_NORD_PAGE, "instagram_business_account": linked}))
    assert gateway.token_owner(an_account(ATELIER_NORD).id).ig_page_id == ATELIER_NORD_PAGE


def test_a_token_can_be_checked_before_its_account_exists(app: Flask, instagram: Graph) -> None:
    instagram.say = always(sampled("me"))
    assert gateway.owner_of_new_token(Login.INSTAGRAM, TOKEN).ig_account_id == MAISON_LUNE
    assert noted() == []


@pytest.mark.parametrize("ig_account_id", [MAISON_LUNE, ATELIER_NORD])
def test_both_logins_work_against_the_sandbox(sandbox: Sandbox, ig_account_id: str) -> None:
    tokens = {each["id"]: each["token"] for each in sandbox.get("accounts")}
    account_id = an_account(ig_account_id, token=tokens[ig_account_id]).id
    with settings.using(**sandbox.settings):
        assert gateway.token_owner(account_id).ig_account_id == ig_account_id
        page = gateway.conversations(account_id, purpose=Purpose.BACKFILL, limit=5)
        assert all(ig_account_id in dict(thread.participants) for thread in page.threads)
        if ig_account_id == MAISON_LUNE:
            assert gateway.profile(account_id, LEA, purpose=Purpose.LIVE).name == "Léa Moreau"
            assert failure_of(lambda: gateway.profile(account_id, GHOST, purpose=Purpose.LIVE)).code == "9010"
            assert failure_of(lambda: gateway.profile(account_id, SHY, purpose=Purpose.LIVE)).reason is Reason.CONSENT
    assert not any(call["token_in_query"] for call in sandbox.get("calls"))


@pytest.mark.parametrize("ig_account_id", [MAISON_LUNE, ATELIER_NORD])
def test_calls_about_webhooks_are_logged_and_not_counted(app: Flask, sandbox: Sandbox, ig_account_id: str) -> None:
    tokens = {each["id"]: each["token"] for each in sandbox.get("accounts")}
    account = an_account(ig_account_id, token=tokens[ig_account_id])
    with settings.using(**sandbox.settings):
        assert gateway.missing_subscriptions(account.id) == gateway.WEBHOOKS[account.login]
        assert gateway.subscribe(account.id) == {}
    rows = [(row.call, row.purpose, row.http_status, row.answer) for row in noted()]
    assert rows == [
        ("subscribed_apps", Purpose.CHECK, 200, "Webhook subscription read"),
        ("subscribed_apps", Purpose.CHECK, 200, "Subscribed"),
    ]
    assert used(account) == 0


def test_of_the_failures_about_webhooks_only_an_invalid_token_stops_other_calls(
    account: Account, instagram: Graph
) -> None:
    instagram.say = always(sampled("profile-error-4"))
    assert failure_of(lambda: gateway.missing_subscriptions(account.id)).code == "4"
    instagram.say = always(sampled("profile"))
    look(account)
    instagram.say = always(sampled("profile-error-190"))
    assert failure_of(lambda: gateway.missing_subscriptions(account.id)).code.startswith("190")
    assert row_of(account).state is AccountState.RECONNECT
