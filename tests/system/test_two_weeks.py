"""Two weeks of the demo, simulated: the scheduler's duties at their periods, and every page an admin can open.

The test moves the clock of this process and of Redis, its scripts and expiring keys; the sandbox keeps its own.
`--pages-every 1` opens all pages in each hour.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import func, select

from app import clock, queue, redis_client, scheduler, settings
from app.accounts import health
from app.calls import budget, circuit_breaker
from app.cli import demo
from app.db.engine import db
from app.errors import AlreadyRunning
from app.factory import create_app
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Identity
from app.models.run import Run
from app.runs import kinds, lifecycle
from app.users import api_tokens, users
from app.users.api_tokens import TokenScope
from app.viewer import OPERATOR, Role
from tests.api.clients import ApiClient
from tests.factories import a_delivery, a_message_event
from tests.support import databases
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Processes, Sandbox
from tests.support.web_client import WebClient
from tests.support.webhooks import receive_webhook
from tests.web import addresses
from tests.web.browsing import HTMX, PASSWORD, sign_in

HOURS = 14 * 24
STEP = 2  # hours at a time, as long as pages are not opened more often
WRITERS = 3  # contacts who write in one step
TURNS = 5  # of the workers in one step, until each job pauses or ends
ADMIN = "admin@example.com"
QUEUES = sorted({task.queue for task in queue.TASKS.values()})
FAULTS = {100: "429", 200: "190"}  # Meta's answers to a few calls of these hours
PICTURES_AT = 24  # when the first pictures still have URLs that expire later; the sandbox's own clock stands still
CALLS = 60  # the budget of an hour: small, so that jobs pause
REDIS_TIME, OUR_TIME = "redis.call('TIME')", "redis.call('LRANGE', 'nametag:time', 0, 1)"


class Time(FrozenClock):
    """The clock of this process and of Redis's scripts, moved by the test and by sleeping code."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.redis = redis
        self.forward()

    def forward(self, **duration: float) -> None:
        """Move the clock, also that of the scripts in Redis."""
        super().forward(**duration)
        self.redis.delete("nametag:time")
        self.redis.rpush("nametag:time", *self.redis_time())

    def redis_time(self, *_: object) -> tuple[int, int]:
        """Return the time as Redis does: seconds and microseconds."""
        return int(self.at.timestamp()), self.at.microsecond

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Let time pass immediately."""
        self.forward(seconds=seconds)


@pytest.fixture
def time(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Time:
    """The stopped clock."""
    moved = Time(redis)
    for name in ("now", "monotonic", "sleep"):
        monkeypatch.setattr(clock, name, getattr(moved, name))
    monkeypatch.setattr(budget, "_SPEND", budget._SPEND.replace(REDIS_TIME, OUR_TIME))
    monkeypatch.setattr(circuit_breaker, "_SCRIPT", circuit_breaker._SCRIPT.replace(REDIS_TIME, OUR_TIME))
    monkeypatch.setattr(redis_client._Client, "time", moved.redis_time)
    return moved


@pytest.fixture
def sandbox(processes: Processes) -> Sandbox:
    """A sandbox with few contacts and without a rate limit of its own."""
    return processes.sandbox("--people", "16", "--calls-per-hour", "100000")


@pytest.fixture
def demo_app(sqlite_database: str, sandbox: Sandbox, time: Time, tmp_path: Path) -> Iterator[Flask]:
    """The app with the accounts of the demo."""
    chosen = sandbox.settings | {"media_hosts": (sandbox.url.removeprefix("http://"),), "graph_calls_per_hour": CALLS}
    with (
        settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path, **chosen),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        demo.connect_accounts(sandbox.url)
        yield app


@pytest.mark.timeout(3_600)  # for `--pages-every 1`
def test_no_page_fails_in_two_weeks(
    demo_app: Flask, sandbox: Sandbox, time: Time, redis: Redis, pytestconfig: pytest.Config
) -> None:
    every = pytestconfig.getoption("--pages-every")
    users.add_user(OPERATOR, ADMIN, role=Role.ADMIN, password=PASSWORD)
    chance, opened = Random(14), list[str]()
    program = ApiClient(demo_app, api_tokens.create(OPERATOR, "crm", tuple(TokenScope), None))
    contacts = sandbox.get("people")
    started = time.at
    step = min(every, STEP)
    for hour in range(0, HOURS, step):
        _write(chance.sample(contacts, WRITERS))
        if hour in FAULTS:
            sandbox.post("faults", mode=FAULTS[hour], count=3)
        if hour % 60 == 4:
            _start_jobs()
        _perform_duties(hour)
        _work(redis)
        time.at = started + timedelta(hours=hour)  # sleeping code took part of the hour
        if hour % every == 0 or hour in FAULTS:
            opened += _open_everything(demo_app, program)
        if hour == PICTURES_AT:
            assert db.session.scalars(select(Identity.id).where(Identity.picture_expires_at > time.at)).first()
        sandbox.post("age", hours=step)
        time.forward(hours=step)
        _expire(redis, timedelta(hours=step))
    # No owner asked for a deletion, no event became a dead letter, and no alert receiver was added.
    unopened = {"deletions.status", "api.get_dead_letter", "alert_receivers.show"}
    assert addresses.not_among(demo_app, opened) == unopened
    _require_that_every_part_ran()
    assert {name: Queue(name, connection=redis).failed_job_registry.count for name in QUEUES} == dict.fromkeys(
        QUEUES, 0
    )


def _write(contacts: list[dict[str, Any]]) -> None:
    for each in contacts:
        event = a_message_event(each["id"], "Bonjour !", recipient=each["account"])
        body = a_delivery(event, ig_account_id=each["account"])
        receive_webhook(body)


def _start_jobs() -> None:
    for account_id in db.session.scalars(select(Account.id)).all():
        for kind in kinds.LOOKUPS:
            with suppress(AlreadyRunning):
                lifecycle.start(OPERATOR, account_id, kind=kind)


def _perform_duties(hour: int) -> None:
    for duty, every_seconds in scheduler.DUTIES.items():
        if hour % max(1, int(every_seconds // 3600)) == 0:
            duty()
            db.session.remove()


def _work(redis: Redis) -> None:
    for _ in range(TURNS):
        for waiting in (Queue(name, connection=redis, serializer=JSONSerializer) for name in QUEUES):
            for job in waiting.jobs:
                waiting.remove(job)
                job.perform()
                db.session.remove()


def _expire(redis: Redis, duration: timedelta) -> None:
    for key in redis.scan_iter():
        seconds = redis.ttl(key)
        if seconds > 0:
            redis.expire(key, seconds - int(duration.total_seconds()))


def _open_everything(app: Flask, program: ApiClient) -> list[str]:
    admin = app.test_client()
    assert sign_in(admin, ADMIN).status_code == 303  # sessions end after seven days
    pages, api = addresses.of_pages(QUEUES, most=2), addresses.of_api(most=2)
    for address in pages:
        answer = admin.get(address)
        assert answer.status_code < 400, (clock.now(), address, answer.status_code)
    for address in ("/inbox/list", "/jobs/live", "/jobs/history", "/insights", "/identities"):
        assert admin.get(address, headers=HTMX).status_code < 400, (clock.now(), address)
    for address in api:
        answer = program.get(address)
        assert answer.status_code < 400, (clock.now(), address, answer.status_code)
    return [*pages, *api]


def _require_that_every_part_ran() -> None:
    made = dict(db.session.execute(select(ApiCall.purpose, func.count()).group_by(ApiCall.purpose)).all())
    assert made.keys() >= {Purpose.LIVE, Purpose.DAILY, Purpose.REFRESH, Purpose.SYNC, Purpose.CHECK}
    refreshed = select(func.count()).where(ApiCall.call == "refresh", ApiCall.http_status == 200)
    assert db.session.execute(refreshed).scalar_one() >= 1
    assert db.session.execute(select(func.count()).where(Run.started_by == "Schedule")).scalar_one() >= 2
    assert [each.token.well for each in health.list_health(OPERATOR)] == [True, True]
