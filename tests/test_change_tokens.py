"""Change tokens change with every visible change, and never repeat an old value."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app import change_tokens, settings


def test_a_version_stands_still_until_it_is_bumped(redis: Redis) -> None:
    first = change_tokens.current(1)
    assert first is not None
    assert change_tokens.current(1) == first
    change_tokens.mark_changed([1, 2])
    assert change_tokens.current(1) != first


def test_accounts_move_apart(redis: Redis) -> None:
    other = change_tokens.current(2)
    change_tokens.mark_changed([1])
    assert change_tokens.current(2) == other


def test_a_version_lost_with_redis_does_not_repeat_an_old_one(redis: Redis) -> None:
    seen = set()
    for _ in range(3):
        change_tokens.mark_changed([1])
        seen.add(change_tokens.current(1))
        redis.flushall()
        seen.add(change_tokens.current(1))
    assert None not in seen
    assert len(seen) == 6


def test_without_redis_nothing_may_be_called_unchanged(redis: Redis, tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        assert change_tokens.current(1) is None


def test_a_bump_that_redis_missed_is_made_up_for(redis: Redis, tmp_path: Path) -> None:
    before = change_tokens.current(1)
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        change_tokens.mark_changed([1])
    assert change_tokens.current(1) not in (before, None)


def test_a_change_during_a_report_is_reported_after_it(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    change_tokens.mark_changed([1])
    seen, report = list[object](), redis.mset

    def slow(words: dict[str, str]) -> Any:
        reported = report(words)
        monkeypatch.undo()
        seen.append(redis.get("nametag:version:1"))
        with settings.using(redis_url="unix:///nowhere/redis.sock?db=0"):
            change_tokens.mark_changed([1])  # another thread has just committed something
        return reported

    monkeypatch.setattr(redis, "mset", slow)
    change_tokens.mark_changed([1])
    change_tokens.current(1)
    assert redis.get("nametag:version:1") not in seen


def test_every_account_moves_when_a_process_ended_before_it_could_report(redis: Redis) -> None:
    before = change_tokens.current(1), change_tokens.current(2)
    change_tokens.mark_all_changed()
    assert change_tokens.current(1) != before[0]
    assert change_tokens.current(2) != before[1]


def test_a_web_server_that_is_no_longer_heard_of_moves_every_account_once(redis: Redis) -> None:
    before = change_tokens.current(1)
    redis.zadd("nametag:webs", {"another": 1})
    change_tokens.beat("this one")
    after = change_tokens.current(1)
    assert after != before
    change_tokens.beat("this one")
    assert change_tokens.current(1) == after


def test_a_change_of_one_contact_leaves_the_threads_of_others_as_they_are(redis: Redis) -> None:
    lea, rui, listed = change_tokens.current(1, "lea"), change_tokens.current(1, "rui"), change_tokens.current(1)
    change_tokens.mark_changed([(1, "lea")])
    assert change_tokens.current(1, "lea") != lea
    assert change_tokens.current(1, "rui") == rui
    assert change_tokens.current(1) != listed


def test_a_change_of_the_account_and_one_of_every_account_change_each_thread(redis: Redis) -> None:
    seen = {change_tokens.current(1, "lea")}
    change_tokens.mark_changed([1])
    seen.add(change_tokens.current(1, "lea"))
    change_tokens.mark_all_changed()
    seen.add(change_tokens.current(1, "lea"))
    redis.flushall()
    seen.add(change_tokens.current(1, "lea"))
    assert None not in seen
    assert len(seen) == 4
    change_tokens.mark_changed([(1, change_tokens.NO_CONTACT)])
    assert change_tokens.current(1, "lea") in seen
