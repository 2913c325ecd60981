"""The identity cache in Redis: what is stored, and every entry that is ignored."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from app import settings
from app.identities import cache
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE
from tests.support.frozen_clock import FrozenClock

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SEEN = ProfileObservation(
    LEA, username="lea.moreau", name="Léa Moreau", picture_url=None, source=Source.PROFILE, at=NOW
)
DAY = timedelta(days=1)
KEY = f"instagram:profile:{MAISON_LUNE}:{LEA}"


@pytest.fixture(autouse=True)
def noon(frozen_clock: FrozenClock) -> None:
    frozen_clock.at = NOW


def test_a_name_is_kept_for_a_day_under_account_and_participant(redis: Redis) -> None:
    cache.write(MAISON_LUNE, SEEN)
    found = cache.read(MAISON_LUNE, [CAMILLE, LEA])
    assert list(found) == [LEA]
    assert (found[LEA].username, found[LEA].name, found[LEA].at) == ("lea.moreau", "Léa Moreau", NOW)
    assert found[LEA].source is Source.REDIS
    assert 86_390 < int(redis.ttl(KEY)) <= 86_400


def test_how_long_a_name_is_still_kept_is_known(redis: Redis) -> None:
    assert cache.seconds_left(MAISON_LUNE, LEA) == 0
    cache.write(MAISON_LUNE, SEEN)
    assert cache.seconds_left(MAISON_LUNE, LEA) == pytest.approx(86_400, abs=5)
    with settings.using(redis_url="redis://127.0.0.1:1/0"):
        assert cache.seconds_left(MAISON_LUNE, LEA) is None


def test_a_picture_with_a_lone_surrogate_can_be_stored(redis: Redis) -> None:
    value = {"account": MAISON_LUNE, "participant": LEA, "name": "Léa", "picture": "\ud800", "at": NOW.isoformat()}
    redis.set(KEY, json.dumps(value))
    assert cache.read(MAISON_LUNE, [LEA])[LEA].picture_url == "\ufffd"


def test_a_value_copied_to_another_account_is_ignored(redis: Redis) -> None:
    cache.write(MAISON_LUNE, SEEN)
    redis.set(f"instagram:profile:{ATELIER_NORD}:{LEA}", redis.get(KEY) or b"")
    assert cache.read(ATELIER_NORD, [LEA]) == {}


@pytest.mark.parametrize(
    "value",
    [
        b"[]",
        b"null",
        b"not json",
        b"\xff\xfe",
        b"[" * 5_000,
        b"x" * 20_000,
        json.dumps({"account": MAISON_LUNE, "participant": LEA}).encode(),
        json.dumps({"account": MAISON_LUNE, "participant": LEA, "username": ["x"], "at": NOW.isoformat()}).encode(),
        json.dumps({"account": MAISON_LUNE, "participant": LEA, "username": "x", "at": "2026-11-20T12:00"}).encode(),
        json.dumps({"account": MAISON_LUNE, "participant": LEA, "username": "x", "at": 5}).encode(),
    ],
    ids=range(10),
)
def test_a_value_of_another_shape_counts_as_missing(redis: Redis, value: bytes) -> None:
    redis.set(KEY, value)
    assert cache.read(MAISON_LUNE, [LEA]) == {}


@pytest.mark.parametrize(("ago", "found"), [(timedelta(), 1), (DAY, 1), (-timedelta(seconds=1), 0), (DAY * 1.1, 0)])
def test_a_name_from_the_future_or_older_than_a_day_counts_as_missing(redis: Redis, ago: timedelta, found: int) -> None:
    value = {"account": MAISON_LUNE, "participant": LEA, "username": "x", "at": (NOW - ago).isoformat()}
    redis.set(KEY, json.dumps(value))
    assert len(cache.read(MAISON_LUNE, [LEA])) == found


def test_a_name_without_an_end_is_not_kept_longer_than_a_day(redis: Redis) -> None:
    redis.set(KEY, "x", ex=10**15)
    assert cache.seconds_left(MAISON_LUNE, LEA) == 86_400


def test_without_redis_nothing_is_found_and_nothing_raised(redis: Redis, tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        cache.write(MAISON_LUNE, SEEN)
        cache.delete(MAISON_LUNE, LEA)
        assert cache.read(MAISON_LUNE, [LEA]) == {}


def test_a_forgotten_name_is_gone(redis: Redis) -> None:
    cache.write(MAISON_LUNE, SEEN)
    cache.delete(MAISON_LUNE, LEA)
    assert cache.read(MAISON_LUNE, [LEA]) == {}
