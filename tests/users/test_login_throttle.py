"""Guessing passwords becomes slow, with Redis and without."""

import time
from collections.abc import Iterator

import pytest
from redis import Redis

from app import clock, settings
from app.users import login_throttle

NADIA, HERE, THERE = "nadia@example.com", "192.0.2.1", "192.0.2.2"


@pytest.fixture(params=["with Redis", "without Redis"])
def _counting(request: pytest.FixtureRequest, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    login_throttle.reset()
    if request.param == "with Redis":
        yield
        return
    with settings.using(redis_url="unix:///nowhere/redis.sock?db=0"):
        yield


@pytest.mark.usefixtures("_counting")
def test_the_sixth_failure_waits_and_another_ip_address_does_not() -> None:
    assert [login_throttle.wait_seconds(NADIA, HERE) for _ in range(5)] == [0] * 5
    assert login_throttle.wait_seconds(NADIA, HERE) == 1
    assert login_throttle.wait_seconds("Nadia@EXAMPLE.com ", HERE) == 1
    assert login_throttle.wait_seconds(NADIA, THERE) == 0
    assert login_throttle.wait_seconds("oskar@example.com", HERE) == 0


@pytest.mark.usefixtures("_counting")
def test_the_right_password_clears_the_failures() -> None:
    for _ in range(4):
        login_throttle.wait_seconds(NADIA, HERE)
    login_throttle.forget_attempt(NADIA, HERE)
    assert [login_throttle.wait_seconds(NADIA, HERE) for _ in range(5)] == [0] * 5


@pytest.mark.usefixtures("_counting")
def test_a_name_may_be_tried_fifty_times_an_hour_from_everywhere() -> None:
    tries = [login_throttle.wait_seconds(NADIA, f"198.51.100.{number}") for number in range(51)]
    assert tries[:50] == [0] * 50
    assert 3500 < tries[50] <= 3600


@pytest.mark.usefixtures("_counting")
def test_an_ip_address_may_try_sixty_times_a_minute() -> None:
    tries = [login_throttle.wait_seconds(f"person{number}@example.com", HERE) for number in range(61)]
    assert tries[:60] == [0] * 60
    assert 50 < tries[60] <= 60
    assert login_throttle.wait_seconds(NADIA, THERE) == 0


def test_a_refused_ip_address_is_known_without_redis_until_its_minute_is_over(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    login_throttle.reset()
    for number in range(61):
        login_throttle.wait_seconds(f"person{number}@example.com", HERE)
    redis.flushall()
    assert 50 < login_throttle.refused_seconds(HERE) <= 60
    assert login_throttle.refused_seconds(THERE) == 0
    monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic() + 60)
    assert login_throttle.refused_seconds(HERE) == 0


def test_a_refused_pair_refuses_no_other_user_at_its_ip_address(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    login_throttle.reset()
    assert [login_throttle.wait_seconds(NADIA, HERE) for _ in range(6)][-1] > 0
    assert login_throttle.refused_seconds(HERE) == 0


@pytest.mark.usefixtures("_counting")
def test_signing_in_rightly_never_fills_the_limits() -> None:
    for _ in range(70):
        assert login_throttle.wait_seconds(NADIA, HERE) == 0
        login_throttle.forget_attempt(NADIA, HERE)


def test_waits_double_up_to_a_quarter_of_an_hour(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: moment[0])
    counts = login_throttle.InProcessThrottle()
    for _ in range(4):
        counts.count("pair", "name", "address")
    waits = []
    for number in range(12):
        assert counts.count("pair", f"name {number}", f"address {number}") == 0
        waits.append(counts.count("pair", "another name", "another address"))
        moment[0] += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_what_was_typed_as_a_name_is_not_kept(redis: Redis) -> None:
    login_throttle.wait_seconds("my secret password", HERE)
    assert not [key for key in redis.keys("*") if b"secret" in key]
    assert redis.ttl(next(iter(redis.keys("*")))) > 0


def test_one_process_remembers_a_bounded_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_throttle, "REMEMBERED", 10)
    counts = login_throttle.InProcessThrottle()
    for number in range(50):
        counts.count(f"pair{number}", f"name{number}", "address")
    assert len(counts.counts) <= 10


def test_waits_kept_in_redis_end_at_a_quarter_of_an_hour_too(redis: Redis) -> None:
    for _ in range(5):
        login_throttle.wait_seconds(NADIA, HERE)
    [pair] = [key for key in redis.keys("*") if redis.type(key) == b"hash"]
    redis.hset(pair, mapping={"failures": 300, "open_at": 0})
    assert login_throttle.wait_seconds(NADIA, HERE) == 0
    assert login_throttle.wait_seconds(NADIA, HERE) == 900
