"""Where a run is among the pages: remembered for minutes, and never needed."""

from pathlib import Path

from redis import Redis

from app import settings
from app.runs import place


def test_a_place_is_remembered_for_five_minutes(redis: Redis) -> None:
    place.keep("run", "QVFIUm")
    assert place.of("run") == "QVFIUm"
    assert 290 < redis.ttl("nametag:place:run") <= 300
    place.keep("run", None)
    assert place.of("run") is None


def test_a_cursor_too_long_to_be_one_is_not_kept(redis: Redis) -> None:
    place.keep("run", "x" * 5_000)
    assert redis.keys() == []


def test_without_redis_nothing_is_known_and_nothing_raised(tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path / 'nobody'}"):
        place.keep("run", "QVFIUm")
        assert place.of("run") is None
