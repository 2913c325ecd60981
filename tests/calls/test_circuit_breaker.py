"""Circuit breaker: which failures stop which calls, for how long, and when calls resume."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis

from app import clock, settings
from app.calls import circuit_breaker
from app.calls.circuit_breaker import FAILURE_THRESHOLD
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret
from app.errors import RetryLater
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.usage_headers import NO_USAGE, Usage
from app.models.account import Account, AccountState
from tests.factories import ATELIER_NORD, an_account

APP_LIMIT = GraphAPIError(Scope.APP, Reason.RATE_LIMITED, "4")
APP_PERMISSION = GraphAPIError(Scope.APP, Reason.PERMISSION, "200")
LIMIT = GraphAPIError(Scope.ACCOUNT, Reason.RATE_LIMITED, "613")
DEAD_TOKEN = GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "190/463")
PERMISSION = GraphAPIError(Scope.ACCOUNT, Reason.PERMISSION, "10")
TIMEOUT = GraphAPIError(Scope.NETWORK, Reason.TIMEOUT, "timeout")
NONSENSE = GraphAPIError(Scope.CONTRACT, Reason.BAD_ANSWER, "types")
GONE = GraphAPIError(Scope.CONTACT, Reason.NOT_VISIBLE, "9010")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def other(app: Flask) -> Account:
    return an_account(ATELIER_NORD)


def fail(account: Account, failure: GraphAPIError, times: int = 1) -> None:
    for _ in range(times):
        circuit_breaker.record_failure(account.id, failure, token=account.token)


def stopped(account: Account) -> timedelta | None:
    """Return how long this account's calls are stopped, without making the probe."""
    wait = circuit_breaker.closed_at(account.id) - clock.now()
    return wait if wait > timedelta(0) else None


def check(account: Account) -> None:
    row = db.session.get_one(Account, account.id, populate_existing=True)
    circuit_breaker.check(row.id, state=row.state, state_reason=row.state_reason)


def refused(account: Account) -> RetryLater:
    with pytest.raises(RetryLater) as caught:
        check(account)
    return caught.value


def elapse(redis: Redis) -> None:
    """End the timeout of every open circuit."""
    for key in redis.scan_iter("nametag:stop:*"):
        if redis.hexists(key, "until"):
            redis.hset(key, "until", "1")


def about(wait: timedelta | None, expected: timedelta) -> bool:
    return wait is not None and expected - timedelta(seconds=5) < wait <= expected


def test_circuits_are_closed_initially(account: Account) -> None:
    check(account)
    assert stopped(account) is None


@pytest.mark.parametrize("failure", [APP_LIMIT, APP_PERMISSION])
def test_one_failure_of_the_app_stops_every_account(account: Account, other: Account, failure: GraphAPIError) -> None:
    fail(account, failure)
    assert about(stopped(account), MINUTE)
    assert refused(other).reason == failure.sentence


def test_one_rate_limit_stops_its_account_alone(account: Account, other: Account) -> None:
    fail(account, LIMIT)
    assert about(stopped(account), MINUTE)
    assert "limit" in str(refused(account))
    check(other)


def test_a_circuit_is_open_for_the_time_that_meta_names(account: Account) -> None:
    named = GraphAPIError(Scope.ACCOUNT, Reason.RATE_LIMITED, "80002", retry_at=clock.now() + timedelta(minutes=19))
    fail(account, named)
    assert about(stopped(account), timedelta(minutes=19))


def test_late_failures_of_old_calls_do_not_extend_the_timeout(account: Account) -> None:
    fail(account, LIMIT, times=4)
    assert about(stopped(account), MINUTE)


def test_late_successes_of_old_calls_do_not_close_a_circuit(account: Account) -> None:
    fail(account, LIMIT)
    circuit_breaker.record_response(account.id, NO_USAGE)
    assert about(stopped(account), MINUTE)


def test_after_the_timeout_one_call_probes_and_the_others_wait(account: Account, redis: Redis) -> None:
    fail(account, LIMIT)
    elapse(redis)
    check(account)
    assert timedelta(0) < refused(account).until - clock.now() <= timedelta(seconds=circuit_breaker.PROBE_SECONDS)


def test_a_successful_probe_closes_the_circuit(account: Account, redis: Redis) -> None:
    fail(account, LIMIT)
    elapse(redis)
    check(account)
    circuit_breaker.record_response(account.id, NO_USAGE)
    check(account)
    check(account)


def test_a_probe_without_a_result_is_followed_by_another(account: Account, redis: Redis) -> None:
    fail(account, LIMIT)
    elapse(redis)
    check(account)
    redis.hset(f"nametag:stop:{account.id}:limits", "probe_until", "1")
    check(account)


def test_every_failed_probe_doubles_the_timeout_up_to_an_hour(account: Account, redis: Redis) -> None:
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        fail(account, LIMIT)
        assert about(stopped(account), timedelta(minutes=minutes))
        elapse(redis)


def test_a_success_resets_the_timeout(account: Account, redis: Redis) -> None:
    for _ in range(3):
        fail(account, LIMIT)
        elapse(redis)
    circuit_breaker.record_response(account.id, NO_USAGE)
    fail(account, LIMIT)
    assert about(stopped(account), MINUTE)


@pytest.mark.parametrize("failure", [TIMEOUT, NONSENSE])
def test_five_failures_in_a_row_stop_the_account(account: Account, other: Account, failure: GraphAPIError) -> None:
    fail(account, failure, times=FAILURE_THRESHOLD - 1)
    assert stopped(account) is None
    fail(account, failure)
    assert about(stopped(account), timedelta(seconds=30))
    assert stopped(other) is None


@pytest.mark.parametrize("answer", [None, GONE, GraphAPIError(Scope.FIELD, Reason.FIELD, "100", field="name")])
def test_a_response_in_between_resets_the_count_of_failures(account: Account, answer: GraphAPIError | None) -> None:
    fail(account, TIMEOUT, times=FAILURE_THRESHOLD - 1)
    if answer:
        fail(account, answer)
    else:
        circuit_breaker.record_response(account.id, NO_USAGE)
    fail(account, TIMEOUT, times=FAILURE_THRESHOLD - 1)
    assert stopped(account) is None


def test_an_unreachable_network_is_probed_after_half_a_minute_then_less_often(account: Account, redis: Redis) -> None:
    fail(account, TIMEOUT, times=FAILURE_THRESHOLD)
    for seconds in (60, 120, 240, 480, 900, 900):
        elapse(redis)
        fail(account, TIMEOUT)
        assert about(stopped(account), timedelta(seconds=seconds))


def test_a_usage_of_100_percent_stops_calls(account: Account, other: Account) -> None:
    circuit_breaker.record_response(account.id, Usage(account_percent=100, regain_at=clock.now() + HOUR))
    assert about(stopped(account), HOUR)
    assert stopped(other) is None
    circuit_breaker.record_response(account.id, Usage(app_percent=100))
    assert about(stopped(other), MINUTE)


@pytest.mark.parametrize("failure", [DEAD_TOKEN, PERMISSION])
def test_an_invalid_token_waits_for_a_reconnect(
    account: Account, other: Account, failure: GraphAPIError, redis: Redis
) -> None:
    fail(account, failure)
    redis.flushall()  # this state is not in Redis
    assert refused(account).reason == failure.sentence
    assert timedelta(0) < refused(account).until - clock.now() <= timedelta(seconds=10)
    check(other)


def test_a_failure_of_an_old_token_does_not_affect_the_new_one(account: Account) -> None:
    old = account.token
    with transaction.write() as tx:
        tx.session.get_one(Account, account.id).token = Secret.hide("new-token")
    circuit_breaker.record_failure(account.id, DEAD_TOKEN, token=old)
    check(account)


def test_a_successful_check_connects_the_account_again(account: Account) -> None:
    fail(account, DEAD_TOKEN)
    token = db.session.get_one(Account, account.id, populate_existing=True).token
    circuit_breaker.record_valid_token(account.id, token=token)
    check(account)
    row = db.session.get_one(Account, account.id, populate_existing=True)
    assert (row.state, row.state_reason) == (AccountState.CONNECTED, None)


def test_an_opening_is_logged_once(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    fail(account, LIMIT, times=3)
    fail(account, DEAD_TOKEN, times=3)
    assert len(caplog.records) == 2


def test_without_redis_the_budget_stops_calls_not_the_breaker(account: Account) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        fail(account, LIMIT)
        circuit_breaker.record_response(account.id, NO_USAGE)
        check(account)
