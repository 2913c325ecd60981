"""Rate limits, counted for all processes, or per process while Redis is unavailable."""

from pathlib import Path

import pytest
from redis import Redis

from app import clock, settings
from app.users import rate_limit


def test_what_is_over_the_limit_is_exceeded_until_the_minute_ends(redis: Redis) -> None:
    found = [rate_limit.count_call("reads:1", 2) for _ in range(3)]
    assert [(each.remaining, each.exceeded) for each in found] == [(1, False), (0, False), (0, True)]
    assert 0 < found[-1].seconds_left <= rate_limit.WINDOW_SECONDS
    assert not rate_limit.count_call("reads:2", 2).exceeded


def test_without_redis_the_limit_is_neither_open_nor_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate_limit.reset()
    monotonic, ahead = clock.monotonic, [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + ahead[0])
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        assert [rate_limit.count_call("reads:1", 2).exceeded for _ in range(3)] == [False, False, True]
        ahead[0] += rate_limit.WINDOW_SECONDS
        assert not rate_limit.count_call("reads:1", 2).exceeded


def test_without_redis_no_more_windows_are_kept_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate_limit.reset()
    monkeypatch.setattr(rate_limit, "REMEMBERED", 3)
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        for number in range(5):
            rate_limit.count_call(f"failures:{number}", 2)
        assert [rate_limit.count_call(f"failures:{number}", 2).used for number in (4, 0)] == [2, 1]
