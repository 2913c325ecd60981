"""Duties of the scheduler: lost tasks are enqueued again."""

import itertools
import logging
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import audit, clock, doctor, queue, scheduler, schedules, settings, tasks
from app.db.engine import db
from app.findings import Level
from app.identities import resolve
from app.identities.observations import BACKGROUND_DELAY
from app.models.account import Account
from app.models.audit import AuditEntry
from app.models.identity import Identity
from app.models.ingest import DeadLetter, PendingMessageUpdate
from app.models.run import RunKind
from app.runs import leases, lifecycle
from app.viewer import OPERATOR
from tests.factories import LEA, a_delivery, a_sandbox_account, an_echo_event, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook

RESOLVE = f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}"
BACKFILL = f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}"


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def name_of_lea() -> str | None:
    db.session.rollback()
    return db.session.scalars(select(Identity.username).where(Identity.ig_participant_id == LEA)).one()


def test_a_lost_hint_for_somebody_who_writes_is_given_again(account: Account, redis: Redis) -> None:
    people_wrote(LEA)
    redis.flushall()
    scheduler.kick_writers()
    assert redis.llen(RESOLVE) == 1
    scheduler.kick_writers()
    assert redis.llen(RESOLVE) == 1
    assert name_of_lea() is None


def test_the_scheduler_looks_up_no_contact_but_enqueues_again_what_no_worker_takes(
    account: Account, redis: Redis, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA)
    frozen_clock.forward(seconds=61)
    redis.flushall()
    scheduler.kick_writers()
    redis.delete(f"nametag:hint:{queue.RESOLVE}:{account.id}")  # as it lapses after five seconds
    scheduler.kick_writers()
    assert redis.llen(RESOLVE) == 2
    assert name_of_lea() is None
    [lookups] = [each for each in doctor.examine(OPERATOR) if each.check == "lookups"]
    assert lookups.level is Level.WARNING
    assert "in 1 account" in lookups.message


@pytest.mark.parametrize("apart", ["SLOW", "CHECKS", "DELIVERIES"])
def test_a_slow_duty_holds_up_no_hint(app: Flask, signals: None, monkeypatch: pytest.MonkeyPatch, apart: str) -> None:
    hinted, over = list[int](), threading.Event()

    def slow() -> None:
        over.wait(20)

    def hint() -> None:
        hinted.append(1)
        if len(hinted) == 5:
            over.set()
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(scheduler, "DUTIES", {slow: 0, hint: 0})
    monkeypatch.setattr(scheduler, apart, (slow,))
    scheduler.run()
    assert len(hinted) == 5


def test_a_new_contact_whose_first_message_is_an_echo_gets_a_name_as_quickly(account: Account, redis: Redis) -> None:
    """Instagram sometimes delivers a contact's message as an echo of the account."""
    body = a_delivery(an_echo_event(LEA, "Is this still available?"))
    receive_webhook(body)
    assert redis.llen(RESOLVE) == 1
    redis.flushall()
    scheduler.kick_writers()
    assert redis.llen(RESOLVE) == 1
    tasks.resolve(account.id)
    assert name_of_lea() == "lea.moreau"


def test_what_the_account_sent_before_it_was_connected_makes_nobody_urgent(
    account: Account, frozen_clock: FrozenClock
) -> None:
    old = int((frozen_clock.now() - timedelta(hours=2)).timestamp() * 1000)
    body = a_delivery(an_echo_event(LEA, at_ms=old))
    receive_webhook(body)
    assert resolve.accounts_due(frozen_clock.now(), live=True) == []


def test_old_conversations_get_their_turn_after_an_hour(
    account: Account, redis: Redis, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA, at=frozen_clock.now() - timedelta(days=1))
    scheduler.kick_writers()
    scheduler.kick_due()
    assert redis.llen(RESOLVE) == 0
    frozen_clock.forward(seconds=BACKGROUND_DELAY.total_seconds() + 1)
    scheduler.kick_due()
    assert redis.llen(RESOLVE) == 1


def test_a_run_whose_hint_was_lost_or_whose_worker_died_is_kicked(
    account: Account, redis: Redis, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    redis.flushall()
    scheduler.kick_runs()
    assert redis.llen(BACKFILL) == 1
    redis.flushall()
    leases.take(run_id, who="a worker that is killed now")
    scheduler.kick_runs()
    assert redis.llen(BACKFILL) == 0
    frozen_clock.forward(seconds=31)
    scheduler.kick_runs()
    assert redis.llen(BACKFILL) == 1


def test_without_redis_a_tick_goes_on(app: Flask) -> None:
    a_sandbox_account()
    people_wrote(LEA)
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        for duty in scheduler.DUTIES:
            duty()
    assert name_of_lea() is None


@pytest.fixture
def signals() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, doing in zip(numbers, before, strict=True):
        signal.signal(number, doing)


@pytest.mark.usefixtures("app", "signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_each_duty_keeps_its_own_pace_until_a_signal_comes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    seconds, done = itertools.count(), list[str]()

    def often() -> None:
        done.append("often")
        if done.count("often") == 5:
            signal.raise_signal(number)
        raise RuntimeError  # which ends neither the loop nor the other duty

    monkeypatch.setattr(clock, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "DUTIES", {often: 1, lambda: done.append("seldom"): 1000})
    scheduler.run()
    assert done == ["often", "seldom", "often", "often", "often", "often"]


@pytest.mark.usefixtures("app", "signals")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_hourly_and_daily_duties_run_although_the_scheduler_restarts_every_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock
) -> None:
    done = list[str]()

    def hourly() -> None:
        done.append("hourly")

    def daily() -> None:
        done.append("daily")

    def restart() -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(clock, "monotonic", lambda: frozen_clock.at.timestamp())
    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "DUTIES", {hourly: scheduler.HOUR_SECONDS, daily: 86_400, restart: 1})
    monkeypatch.setattr(scheduler, "NOT_AT_FIRST", (daily,))
    for _ in range(3 * 24 * 6):
        scheduler.run()
        frozen_clock.forward(minutes=10)
    assert (done.count("hourly"), done.count("daily")) == (3 * 24, 2)  # the daily one has no work at first


@pytest.mark.usefixtures("app", "signals")
def test_a_duty_that_fails_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError

    def stop() -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "DUTIES", {broken: 1, stop: 1})
    scheduler.run()
    assert "scheduled duty failed" in caplog.text


def test_what_is_too_old_is_forgotten_and_counted(
    account: Account, frozen_clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="app.schedules")
    early = {"sender": {"id": LEA}, "reaction": {"mid": "never", "action": "react", "emoji": "!"}}
    for body in (a_delivery(early), a_delivery(early, ig_account_id="17841409999999999"), b"not json"):
        receive_webhook(body)
    audit.record(OPERATOR, audit.Action.IDENTITIES_EXPORTED)
    for days, left in ((29, (1, 2, 1)), (2, (0, 0, 1)), (368, (0, 0, 1)), (2, (0, 0, 0))):
        frozen_clock.forward(days=days)
        schedules.purge()
        db.session.rollback()
        tables = (PendingMessageUpdate, DeadLetter, AuditEntry)
        counted = tuple(db.session.execute(select(func.count()).select_from(each)).scalar_one() for each in tables)
        assert counted == left
    told = [vars(record) for record in caplog.records if record.name == "app.schedules"]
    assert [(each["effects"], each["dead_letters"], each["audit_entries"]) for each in told] == [(1, 2, 0), (0, 0, 1)]
