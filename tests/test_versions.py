"""The poll token's heart: it moves with every visible change, and never comes back to an old value."""

from pathlib import Path

from redis import Redis

from app import settings, versions


def test_a_version_stands_still_until_it_is_bumped(redis: Redis) -> None:
    first = versions.current(1)
    assert first is not None
    assert versions.current(1) == first
    versions.bump([1, 2])
    assert versions.current(1) != first


def test_accounts_move_apart(redis: Redis) -> None:
    other = versions.current(2)
    versions.bump([1])
    assert versions.current(2) == other


def test_a_version_lost_with_redis_does_not_repeat_an_old_one(redis: Redis) -> None:
    seen = set()
    for _ in range(3):
        versions.bump([1])
        seen.add(versions.current(1))
        redis.flushall()
        seen.add(versions.current(1))
    assert None not in seen
    assert len(seen) == 6


def test_without_redis_nothing_may_be_called_unchanged(redis: Redis, tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        assert versions.current(1) is None


def test_a_bump_that_redis_missed_is_made_up_for(redis: Redis, tmp_path: Path) -> None:
    before = versions.current(1)
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        versions.bump([1])
    assert versions.current(1) not in (before, None)
