"""The API call budget that all processes share: never exceeded, whatever happens to Redis."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from flask import Flask
from redis import Redis

from app import clock, settings
from app.calls import budget, circuit_breaker
from app.calls.budget import CONVERSATIONS, PROFILE, SLOW_CALLS, WINDOW_SECONDS, Grant
from app.db import transaction
from app.db.engine import db
from app.errors import RetryLater
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.usage_headers import NO_USAGE, Usage
from app.models.call import ApiCall, Purpose
from tests.calls.lookups import made
from tests.factories import ATELIER_NORD, an_account

LIMIT = 20
BACKGROUND_LIMIT = 16
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def account(app: Flask) -> Iterator[int]:
    with settings.using(graph_calls_per_hour=LIMIT):
        yield an_account().id


def spend(account: int, purpose: Purpose = Purpose.LIVE, call: str = PROFILE) -> Grant:
    return budget.spend(account, call=call, purpose=purpose)


def spend_all(account: int, purpose: Purpose = Purpose.LIVE, most: int = 1000) -> int:
    granted = 0
    with suppress(RetryLater):
        while granted < most:
            spend(account, purpose)
            granted += 1
    return granted


def refused(account: int, purpose: Purpose = Purpose.LIVE, call: str = PROFILE) -> RetryLater:
    with pytest.raises(RetryLater) as caught:
        spend(account, purpose, call)
    return caught.value


def note(grant: Grant) -> None:
    with transaction.write() as tx:
        row = tx.insert(ApiCall).values(
            account_id=grant.account_id, call=grant.call, purpose=grant.purpose, at=grant.at
        )
        tx.execute(row)


def test_the_budget_has_the_configured_number_of_calls(account: int) -> None:
    assert spend_all(account) == LIMIT
    wait = refused(account).until - clock.now()
    assert timedelta(seconds=WINDOW_SECONDS - 10) < wait <= timedelta(seconds=WINDOW_SECONDS)


def test_each_account_has_its_own_budget(account: int) -> None:
    spend_all(account)
    assert spend_all(an_account(ATELIER_NORD).id) == LIMIT


@pytest.mark.parametrize("purpose", [Purpose.BACKFILL, Purpose.REFRESH, Purpose.CHECK])
def test_background_calls_leave_one_fifth_for_urgent_calls(account: int, purpose: Purpose) -> None:
    assert spend_all(account, purpose) == BACKGROUND_LIMIT
    assert spend_all(account, Purpose.LIVE) == LIMIT - BACKGROUND_LIMIT


def test_the_daily_refresh_uses_at_most_half_of_the_budget(account: int) -> None:
    assert spend_all(account, Purpose.DAILY) == LIMIT // 2
    assert refused(account, Purpose.DAILY).until - clock.now() > timedelta(seconds=WINDOW_SECONDS - 10)
    assert spend_all(account, Purpose.BACKFILL) == BACKGROUND_LIMIT - LIMIT // 2


def test_a_lookup_that_a_user_requested_may_use_the_reserve(account: int) -> None:
    spend_all(account, Purpose.BACKFILL)
    assert spend_all(account, Purpose.ASKED) == LIMIT - BACKGROUND_LIMIT


def test_background_calls_wait_for_the_oldest_calls_to_leave_the_hour(account: int) -> None:
    made(account, 10, ago_seconds=WINDOW_SECONDS - 30, purpose=Purpose.LIVE)
    made(account, 8, ago_seconds=60, purpose=Purpose.BACKFILL)
    wait = refused(account, Purpose.BACKFILL).until - clock.now()
    assert timedelta(seconds=25) < wait <= timedelta(seconds=30)


def test_calls_older_than_an_hour_are_not_counted(account: int) -> None:
    made(account, 30, ago_seconds=WINDOW_SECONDS + 5, purpose=Purpose.LIVE)
    assert spend_all(account) == LIMIT


def test_calls_with_a_row_count_after_a_flush(account: int, redis: Redis) -> None:
    for _ in range(15):
        note(spend(account))
    redis.flushall()
    assert spend_all(account) == LIMIT - 15


def test_a_check_of_the_token_uses_no_budget(account: int) -> None:
    made(account, 5, call="me", purpose=Purpose.CHECK)
    made(account, 5, call=CONVERSATIONS, purpose=Purpose.BACKFILL)
    assert spend_all(account) == LIMIT - 5


def test_an_old_copy_after_a_restart_is_not_used(account: int, redis: Redis) -> None:
    spend(account)
    grants, generation = f"nametag:budget:{account}", f"nametag:budget:{account}:generation"
    redis.delete(grants)
    redis.set(generation, "0" * 40 + "of another run of the server")
    made(account, 15, purpose=Purpose.LIVE)
    assert spend_all(account) == LIMIT - 15


def test_a_grant_lost_by_a_flush_is_requested_again(account: int, redis: Redis) -> None:
    overtaken = spend(account)
    redis.flushall()
    assert spend_all(account) == LIMIT  # counted from rows; the lost grant has none yet
    note(overtaken)
    with pytest.raises(RetryLater):
        budget.confirm(overtaken)


def test_a_grant_stays_valid_without_a_flush(account: int) -> None:
    grant = spend(account)
    note(grant)
    budget.confirm(grant)
    assert spend_all(account) == LIMIT - 1


def test_a_grant_has_the_time_of_the_clock_of_redis(account: int, redis: Redis) -> None:
    seconds, _ = redis.time()
    assert abs(spend(account).at.timestamp() - seconds) < 2


def test_many_processes_never_exceed_the_budget(account: int) -> None:
    assert sum(_in_processes(8, lambda: spend_all(account))) == LIMIT


def test_many_processes_and_flushes_never_exceed_the_budget(account: int, redis: Redis) -> None:
    def work() -> int:
        calls = 0
        for _ in range(LIMIT):
            with suppress(RetryLater):
                grant = spend(account)
                note(grant)
                budget.confirm(grant)
                calls += 1
            if calls % 3 == 1:
                redis_of_this_process().flushall()
        return calls

    calls = sum(_in_processes(8, work))
    assert 0 < calls <= LIMIT


def test_a_third_page_in_a_second_waits(account: int) -> None:
    times = [spend(account, Purpose.BACKFILL, CONVERSATIONS).at for _ in range(5)]
    assert all(third - first >= timedelta(seconds=1) for first, third in zip(times, times[2:], strict=False))
    assert all(second - first < timedelta(seconds=2.5) for first, second in pairwise(times))


def test_profiles_do_not_wait_for_the_pace_of_pages(account: int) -> None:
    times = [spend(account).at for _ in range(10)]
    assert times[-1] - times[0] < timedelta(seconds=4)


def test_near_metas_rate_limit_background_calls_slow_down(account: int) -> None:
    budget.observe(account, Usage(account_percent=80))
    assert spend_all(account, Purpose.BACKFILL) == SLOW_CALLS
    assert timedelta(seconds=50) < refused(account, Purpose.BACKFILL).until - clock.now() <= timedelta(seconds=60)
    assert spend_all(account, Purpose.LIVE) == LIMIT - SLOW_CALLS


def test_background_calls_speed_up_again_when_metas_usage_falls(account: int) -> None:
    budget.observe(account, Usage(app_percent=85))
    budget.observe(account, NO_USAGE)
    assert spend_all(account, Purpose.BACKFILL) == SLOW_CALLS
    budget.observe(account, Usage(app_percent=79))
    assert spend_all(account, Purpose.BACKFILL) == BACKGROUND_LIMIT - SLOW_CALLS


def test_the_forecast_has_the_calls_by_purpose_and_when_they_free_up(account: int) -> None:
    made(account, 3, ago_seconds=WINDOW_SECONDS - 100, purpose=Purpose.LIVE)
    made(account, 14, ago_seconds=60, purpose=Purpose.BACKFILL)
    forecast = budget.forecast(account)
    assert forecast
    assert (forecast.used, forecast.limit, forecast.background_limit) == (17, LIMIT, BACKGROUND_LIMIT)
    assert forecast.by_purpose == {Purpose.LIVE: 3, Purpose.BACKFILL: 14}
    assert forecast.resets_at
    left = timedelta(seconds=90), timedelta(seconds=100)
    assert left[0] < forecast.resets_at - clock.now() <= left[1]
    assert left[0] < forecast.free_at - clock.now() <= left[1]


def test_the_forecast_of_an_unused_budget_is_free_now(account: int) -> None:
    forecast = budget.forecast(account)
    assert forecast
    assert (forecast.used, forecast.resets_at, forecast.by_purpose) == (0, None, {})
    assert forecast.free_at <= clock.now()


def test_the_forecast_includes_an_open_circuit(account: int) -> None:
    until = clock.now() + timedelta(minutes=19)
    limited = GraphAPIError(Scope.ACCOUNT, Reason.RATE_LIMITED, "80002", retry_at=until)
    circuit_breaker.record_failure(account, limited, token=None)
    forecast = budget.forecast(account)
    assert forecast
    assert abs(forecast.free_at - until) < timedelta(seconds=1)


def test_a_forecast_uses_no_call(account: int) -> None:
    for _ in range(LIMIT):
        budget.forecast(account)
    assert spend_all(account) == LIMIT


def test_without_redis_there_are_no_calls(account: int) -> None:
    grant = spend(account)
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        wait = refused(account).until - clock.now()
        assert timedelta(seconds=3) < wait <= timedelta(seconds=5)
        with pytest.raises(RetryLater):
            budget.confirm(grant)
        assert budget.forecast(account) is None
        budget.observe(account, Usage(app_percent=99))


def redis_of_this_process() -> Redis:
    return Redis.from_url(settings.current().redis_address)


def _in_processes(count: int, work: Callable[[], int]) -> list[int]:
    results = FORK.SimpleQueue()
    db.session.remove()  # a connection that is in use must not be inherited

    def run() -> None:
        try:
            results.put(work())
        except BaseException:
            results.put(10_000)  # an accident must not look like a call that was refused
            raise
        finally:
            os._exit(0)

    started = [FORK.Process(target=run) for _ in range(count)]
    for process in started:
        process.start()
    found = [results.get() for _ in started]
    for process in started:
        process.join()
    return found
