"""The cursor of a page scan: kept for minutes, and never required."""

from pathlib import Path

import pytest
from redis import Redis

from app import settings
from app.runs import page_cursor
from app.runs.page_cursor import PageCursor


def test_a_cursor_is_kept_for_five_minutes(redis: Redis) -> None:
    page_cursor.save_cursor("run", PageCursor("QVFIUm", size=3, read=12))
    assert page_cursor.load_cursor("run") == PageCursor("QVFIUm", size=3, read=12)
    assert 290 < redis.ttl("nametag:place:run") <= 300
    page_cursor.save_cursor("run", None)
    assert page_cursor.load_cursor("run") is None


def test_a_cursor_too_long_to_be_one_is_not_kept(redis: Redis) -> None:
    page_cursor.save_cursor("run", PageCursor("x" * 5_000))
    assert redis.keys() == []


@pytest.mark.parametrize(
    "kept",
    [
        b"\xff",
        b"QVFIUm",
        b"[]",
        b"[" * 100_000,
        b'{"after": 7, "size": 1, "read": 0}',
        b'{"after": "x", "size": 0, "read": 0}',
    ],
)
def test_an_unreadable_cursor_is_ignored(redis: Redis, kept: bytes) -> None:
    redis.set("nametag:place:run", kept)
    assert page_cursor.load_cursor("run") is None


def test_without_redis_nothing_is_known_and_nothing_raised(tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path / 'nobody'}"):
        page_cursor.save_cursor("run", PageCursor("QVFIUm"))
        assert page_cursor.load_cursor("run") is None
