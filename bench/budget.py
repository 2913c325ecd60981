"""The API call budget under more demand than it allows, counted by the sandbox's own log."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import timedelta

from redis import Redis

from bench import setup
from bench.measures import ACCOUNT, Figure
from tests.support.processes import alive
from tests.support.waiting import until

LIMIT = 200
USED, WRITERS = 150, 300
SECOND_ACCOUNT = "17841400000000202"
PROCESSES, HOUR_SECONDS, SECONDS, SATURATED_LIMIT = 8, 30, 100, 100
NAMED = "SELECT count(*) FROM identities WHERE username IS NOT NULL"
PAUSED = (
    "SELECT count(*) FROM identities WHERE username IS NULL AND claimed_until IS NULL"
    " AND next_try_at > first_seen_at AND last_error IS NULL"
)


def after_redis_was_emptied() -> Iterator[Figure]:
    """Of a budget of 200, 150 calls are used; then Redis is emptied and 300 contacts write to two workers."""
    with setup.installed("--people", "1200", "--latency-ms", "20", calls_per_hour=LIMIT) as (nametag, redis):
        nametag.start_worker("resolve-participants")
        secret = nametag.app_secret
        people = setup.nameable(nametag.sandbox, ACCOUNT, USED + WRITERS)
        setup.wrote(nametag.web.url, secret, people[:USED], ago=timedelta())
        until(lambda: nametag.value(NAMED) == USED, f"{USED} calls are used", 120)
        Redis.from_url(redis.address).flushall()
        setup.wrote(nametag.web.url, secret, people[USED:], ago=timedelta())
        until(
            lambda: nametag.value(NAMED) + nametag.value(PAUSED) == USED + WRITERS,
            "each contact is resolved or waits",
            120,
        )
        calls = [call for call in nametag.sandbox.get("calls") if call["kind"] == "profile"]
        yield Figure(f"calls of {LIMIT} in the hour, {USED} before a flush", len(calls), LIMIT, "")
        yield Figure("calls over Meta's limit", sum(call["over_limit"] for call in calls), 0, "")
        yield Figure("contacts resolved with a call", nametag.value(NAMED), LIMIT, "", least=True)


def saturated() -> Iterator[Figure]:
    """8 processes call without pause through three hours of 30 s each, while Redis is emptied twice."""
    with setup.installed("--latency-ms", "20", calls_per_hour=SATURATED_LIMIT) as (nametag, redis):
        nametag.sandbox.request("PATCH", "settings", calls_per_hour=1_000_000)  # the sandbox only counts
        accounts = (ACCOUNT, SECOND_ACCOUNT)
        times = (str(HOUR_SECONDS), str(SECONDS))
        callers = [nametag.processes.module("bench.saturation", *times, *accounts) for _ in range(PROCESSES)]
        for part in (1, 2):
            made = SATURATED_LIMIT * (2 * part - 1)  # while the budget is being used up
            until(lambda made=made: len(nametag.sandbox.get("calls")) >= made, f"{made} calls are made", SECONDS)  # type: ignore[misc]  # bound now
            Redis.from_url(redis.address).flushall()
        until(lambda: not any(alive(each.id) for each in callers), "all callers have ended", SECONDS + 60)
        assert {each.wait() for each in callers} == {0}, callers[0].output()
        calls = [call for call in nametag.sandbox.get("calls") if call["kind"] == "profile"]
        times_of = [[call["at"] for call in calls if call["account"] == each] for each in accounts]
        yield Figure("calls over the limit in any rolling hour", sum(over(each) for each in times_of), 0, "")
        least = min(map(len, times_of))
        yield Figure("calls of each account in three such hours", least, 2 * SATURATED_LIMIT, "", least=True)


def over(times: Sequence[float]) -> int:
    """Return how many of these calls were over the limit of a rolling hour."""
    ordered = sorted(times)
    young = (place - bisect_left(ordered, at - HOUR_SECONDS) for place, at in enumerate(ordered))
    return sum(count >= SATURATED_LIMIT for count in young)
