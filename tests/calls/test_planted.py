"""Values in Redis that Nametag did not write: no page fails, and lookups finish within seconds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app import change_tokens, clock, doctor, queue, settings
from app.calls import budget, circuit_breaker
from app.db import transaction
from app.errors import RetryLater
from app.factory import create_app
from app.identities import cache, observations
from app.identities.observations import ProfileObservation
from app.models.account import AccountState
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.users import login_throttle, rate_limit
from app.viewer import OPERATOR, Role
from tests.calls.lookups import made
from tests.factories import LEA, MAISON_LUNE, an_account, people_wrote
from tests.support import databases
from tests.support.waiting import until
from tests.support.web_client import WebClient
from tests.web.browsing import HTMX, signed_in

BUDGET, STOP = "nametag:budget:1", "nametag:stop:1:limits"
SECONDS = 15  # for a lookup
FAR = 10**14  # ms since 1970: the year 5138
DAY_MS = 86_400_000


def now_ms(redis: Redis) -> int:
    seconds, _ = redis.time()
    return int(seconds) * 1000


def grants(*members: Any, ahead_ms: float = 0) -> Callable[[Redis], Any]:
    return lambda redis: redis.zadd(BUDGET, {each: now_ms(redis) + ahead_ms for each in members})


def stop(key: str = STOP, *, life_ms: int | None = 60_000, ahead_ms: float = -1, **fields: Any) -> Callable[..., Any]:
    def plant(redis: Redis) -> None:
        moments = {"until": now_ms(redis) + ahead_ms} | fields
        redis.hset(key, mapping={name: value for name, value in moments.items() if value is not None})
        if life_ms:
            redis.pexpire(key, life_ms)

    return plant


PLANTED: dict[str, Callable[[Redis], Any]] = {
    "a grant without a purpose": grants("evil"),
    "a grant of an unknown purpose": grants("live:nosuch:profile:x", "rest:nosuch:"),
    "a grant of bytes": grants(b"\xff\xfe:\xff:\x00"),
    "300 unreadable grants": grants(*(f"evil{number}" for number in range(300))),
    "300 grants from the future": grants(*(f"live:live:profile:{n}" for n in range(300)), ahead_ms=DAY_MS * 365),
    "grants for ever": grants(*(f"live:live:profile:{n}" for n in range(300)), ahead_ms=float("inf")),
    "a budget of another type": lambda redis: redis.set(BUDGET, "x"),
    "a generation of another type": lambda redis: (
        redis.delete(f"{BUDGET}:generation"),
        redis.lpush(f"{BUDGET}:generation", "x"),
    ),
    "a generation of bytes": lambda redis: redis.set(f"{BUDGET}:generation", b"\xff"),
    "a usage of another type": lambda redis: redis.lpush(f"{BUDGET}:usage", "x"),
    "a usage without an end": lambda redis: redis.set(f"{BUDGET}:usage", "100"),
    "a usage that is no number": lambda redis: redis.set(f"{BUDGET}:usage", b"\xff", ex=60),
    "a rebuild lock without an end": lambda redis: (
        redis.delete(f"{BUDGET}:generation"),
        redis.set(f"{BUDGET}:rebuild", "x"),
    ),
    "a rebuild lock of another type": lambda redis: (
        redis.delete(f"{BUDGET}:generation"),
        redis.lpush(f"{BUDGET}:rebuild", "x"),
    ),
    "a stop with a reason of bytes": stop(ahead_ms=5_000, reason=b"\xff\x00"),
    "a stop without a reason": stop(ahead_ms=5_000),
    "a stop without an end": stop("nametag:stop:app", life_ms=None, ahead_ms=DAY_MS, reason="x"),
    "a stop for ever": stop(life_ms=FAR, ahead_ms=FAR, reason="x"),
    "a stop until no number": stop(until=b"\xff"),
    "a stop until infinity": stop("nametag:stop:1:network", until="inf", probe_until="nan", wait="nan"),
    "a probe for ever": stop(until=1, probe_until=FAR),
    "a stop of another type": lambda redis: redis.set("nametag:stop:1:network", "x"),
    "a stop with odd numbers": stop("nametag:stop:1:network", until=None, strikes="many", wait="-1e400"),
    "a version of bytes": lambda redis: redis.set("nametag:version:1", b'\xff"\r\n'),
    "a version of another type": lambda redis: (
        redis.delete("nametag:version:1"),
        redis.lpush("nametag:version:1", "x"),
    ),
    "a cached name without an end": lambda redis: redis.set(f"instagram:profile:{MAISON_LUNE}:{LEA}", "x", ex=10**12),
    "a hint without an end": lambda redis: redis.set("nametag:hint:resolve:1", "1"),
}


@pytest.fixture
def sqlite_app(sqlite_database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    with (
        settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        yield app


@pytest.fixture
def admin(sqlite_app: Flask) -> Iterator[FlaskClient]:
    with settings.using(graph_calls_per_hour=20):
        account = an_account()
        people_wrote(LEA)
        made(account.id, 2, purpose=Purpose.LIVE)
        budget.forecast(account.id)
        yield signed_in(sqlite_app, Role.ADMIN)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_value_fails_no_page_and_stops_no_lookup(admin: FlaskClient, redis: Redis, planted: str) -> None:
    PLANTED[planted](redis)
    for address in ("/inbox", "/inbox/1", "/accounts", "/insights", "/jobs", "/identities/1", "/admin/queues/"):
        assert admin.get(address).status_code == 200, address
        assert admin.get(address, headers=HTMX).status_code < 400, address
    doctor.examine(OPERATOR)

    def granted() -> bool:
        try:
            circuit_breaker.check(1, state=AccountState.CONNECTED, state_reason=None)
            budget.confirm(budget.spend(1, call=budget.PROFILE, purpose=Purpose.LIVE))
        except RetryLater:
            return False
        return True

    until(granted, "a call is granted", SECONDS)
    forecast = budget.forecast(1)
    assert forecast is not None
    assert sum(calls for _, calls in forecast.spenders) == forecast.used <= 20


def test_a_planted_open_circuit_is_reported_by_the_doctor(admin: FlaskClient, redis: Redis) -> None:
    stop(life_ms=DAY_MS, ahead_ms=DAY_MS // 2, reason=b"odd \xff")(redis)
    findings = [each.message for each in doctor.examine(OPERATOR) if each.check == f"account {MAISON_LUNE}"]
    assert any("API calls paused until" in says and "odd \ufffd" in says for says in findings)


def test_a_planted_task_marker_delays_a_task_by_seconds_only(admin: FlaskClient, redis: Redis) -> None:
    redis.set("nametag:hint:sync:1", "1")
    assert queue.enqueue_once(queue.SYNC, 1)
    assert 0 < int(redis.ttl("nametag:hint:sync:1")) <= queue.HINT_SECONDS


def test_planted_counts_refuse_no_one_for_ever(admin: FlaskClient, redis: Redis) -> None:
    redis.set("nametag:rate:x", 1000)
    rate_limit.count_call("x", 10)
    assert 0 < int(redis.ttl("nametag:rate:x")) <= 60
    login_throttle.wait_seconds("lea@example.com", "10.0.0.1")
    for key in redis.scan_iter("nametag:sign-in:*"):
        if redis.type(key) == b"hash":
            redis.hset(key, "open_at", FAR)
        else:
            redis.set(key, 1000)
    assert login_throttle.wait_seconds("lea@example.com", "10.0.0.1") == 0


def test_a_change_token_that_is_not_text_still_shows_changes(admin: FlaskClient, redis: Redis) -> None:
    redis.set("nametag:version:1", b"\xff")
    before = change_tokens.current(1)
    change_tokens.mark_changed([1])
    assert before != change_tokens.current(1)


def test_a_name_from_the_future_never_reaches_a_row(admin: FlaskClient, redis: Redis) -> None:
    future = '{"account": "%s", "participant": "%s", "username": "x", "at": "9999-12-31T00:00:00+00:00"}'
    redis.set(f"instagram:profile:{MAISON_LUNE}:{LEA}", future % (MAISON_LUNE, LEA))
    assert cache.read(MAISON_LUNE, [LEA]) == {}


def test_a_lookup_replaces_a_name_with_a_time_in_the_future(admin: FlaskClient) -> None:
    with transaction.write() as tx:
        row = tx.session.get_one(Identity, 1)
        row.username, row.username_at = "x", datetime(9999, 12, 31, tzinfo=UTC)
        row.last_success_at = row.username_at
    now = clock.now()
    with transaction.write() as tx:
        observations.record(tx, 1, ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, now))
        row = tx.session.get_one(Identity, 1)
        assert (row.username, row.username_at, row.last_success_at) == ("lea.moreau", now, now)
