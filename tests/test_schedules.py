"""Schedules: on time, once among several schedulers, run now, and switched off."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock, heartbeats, scheduler, schedules
from app.accounts import health, schedules_off
from app.db import transaction
from app.db.engine import db
from app.erasure import accounts
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.models.account import AccountState
from app.models.audit import AuditEntry
from app.models.process import AccountScheduleOff
from app.runs.duties import DutyOutcome
from app.schedules import ListedSchedule, ScheduleState
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, LEA, an_account, people_wrote
from tests.runs.test_lifecycle import named
from tests.support.at_once import at_once
from tests.support.frozen_clock import FrozenClock

HOURLY = "conversation-sync"


@pytest.fixture(autouse=True)
def signals(app: Flask) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    heartbeats.reset()
    yield
    for number, doing in before.items():
        signal.signal(number, doing)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock) -> list[str]:
    """The names of schedules in the order of their runs, in place of what they do."""
    runs = list[str]()

    def instead(name: str) -> Callable[[], DutyOutcome]:
        def duty() -> DutyOutcome:
            runs.append(name)
            return DutyOutcome({"accounts": 2})

        return duty

    table = [replace(each, duty=instead(each.name), per_account=False) for each in schedules.SCHEDULES]
    monkeypatch.setattr(scheduler, "SCHEDULES", {each.duty: each for each in table})
    monkeypatch.setattr(scheduler, "NOT_AT_FIRST", [each.duty for each in table if not each.at_first])
    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0)
    monkeypatch.setattr(clock, "monotonic", lambda: frozen_clock.at.timestamp())
    return runs


def tick() -> None:
    """Start a scheduler that checks each schedule once."""
    for duty, schedule in scheduler.SCHEDULES.items():
        scheduler._perform(scheduler._if_due(duty, schedule.every.total_seconds()))


def listed(name: str = HOURLY, viewer: Viewer = OPERATOR) -> ListedSchedule:
    db.session.rollback()
    return schedules.get_schedule(viewer, name)


@pytest.mark.timeout(180)
def test_a_scheduler_that_restarts_every_ten_minutes_for_a_week_runs_each_schedule_as_often_as_it_must(
    monkeypatch: pytest.MonkeyPatch, done: list[str], frozen_clock: FrozenClock
) -> None:
    def restart() -> None:
        signal.raise_signal(signal.SIGTERM)

    table = {duty: each.every.total_seconds() for duty, each in scheduler.SCHEDULES.items()}
    monkeypatch.setattr(scheduler, "DUTIES", table | {restart: 1})
    monkeypatch.setattr(scheduler, "SLOW", ())
    for _ in range(7 * 24 * 6):
        scheduler.run()
        frozen_clock.forward(minutes=10)
    for each in schedules.SCHEDULES:
        most = timedelta(days=7) / max(each.every, timedelta(minutes=10))
        assert abs(done.count(each.name) - most) <= 1, each.name


def test_several_schedulers_run_a_requested_schedule_once(
    app: Flask, done: list[str], frozen_clock: FrozenClock
) -> None:
    schedules.run_now(OPERATOR, "daily-refresh")
    with pytest.raises(Conflict, match="runs already"):
        schedules.run_now(OPERATOR, "daily-refresh")
    at_once(app, 3, tick)
    assert done.count("daily-refresh") == 1


def test_two_requests_at_once_are_one_run(app: Flask, done: list[str]) -> None:
    refused = list[str]()

    def press() -> None:
        try:
            schedules.run_now(OPERATOR, HOURLY)
        except Conflict as error:
            refused.append(str(error))

    at_once(app, 2, press)
    tick()
    tick()
    assert (len(refused), done.count(HOURLY)) == (1, 1)


def test_what_runs_can_not_be_run_now_and_its_next_run_is_a_period_later(
    done: list[str], frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = list[ScheduleState]()

    def running(*_off: object) -> DutyOutcome:
        states.append(listed().state)
        with pytest.raises(Conflict, match="runs already"):
            schedules.run_now(OPERATOR, HOURLY)
        return DutyOutcome({"accounts": 1})

    heartbeats.beat(heartbeats.SCHEDULER)
    schedule = replace(schedules.BY_NAME[HOURLY], duty=running)
    monkeypatch.setattr(scheduler, "SCHEDULES", {running: schedule})
    schedules.run_now(OPERATOR, HOURLY)
    assert listed().busy
    tick()
    now = listed()
    assert (states, now.state, now.did) == ([ScheduleState.RUNNING], ScheduleState.ON, "1 account")
    assert (now.last_at, now.next_at) == (frozen_clock.at, frozen_clock.at + timedelta(hours=1))


def test_what_is_off_runs_only_when_requested_and_on_time_once_it_is_on(
    done: list[str], frozen_clock: FrozenClock
) -> None:
    nadia = Viewer(user_id=7, name="nadia.kessler@example.com", role=Role.OPS)
    heartbeats.beat(heartbeats.SCHEDULER)
    schedules.switch_off(nadia, HOURLY)
    with pytest.raises(Conflict, match="off already"):
        schedules.switch_off(OPERATOR, HOURLY)
    off = listed()
    assert (off.state, off.off_by, off.off_at) == (ScheduleState.OFF, nadia.name, frozen_clock.at)
    assert off.next_at is None
    frozen_clock.forward(days=3)
    tick()
    assert HOURLY not in done
    schedules.run_now(nadia, HOURLY)
    tick()
    frozen_clock.forward(hours=2)
    tick()
    assert done.count(HOURLY) == 1
    schedules.switch_on(nadia, HOURLY)
    with pytest.raises(Conflict, match="on already"):
        schedules.switch_on(OPERATOR, HOURLY)
    tick()
    assert done.count(HOURLY) == 2
    noted = db.session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id))
    assert [tuple(each) for each in noted] == [
        ("user 7", action, "schedule conversation-sync") for action in ("schedule_off", "schedule_run", "schedule_on")
    ]


def test_a_schedule_is_late_after_two_periods_and_all_are_without_a_scheduler(
    done: list[str], frozen_clock: FrozenClock
) -> None:
    assert {each.state for each in schedules.list_schedules(OPERATOR)} == {ScheduleState.LATE}
    heartbeats.beat(heartbeats.SCHEDULER)
    assert {each.state for each in schedules.list_schedules(OPERATOR)} == {ScheduleState.NEVER}
    tick()
    assert listed("pictures").state is ScheduleState.ON
    for minutes, state in ((120, ScheduleState.NEVER), (1, ScheduleState.LATE)):
        frozen_clock.forward(minutes=minutes)
        heartbeats.beat(heartbeats.SCHEDULER)
        assert listed().state is state
    assert (listed("pictures").state, listed("subscription-check").state) == (ScheduleState.LATE, ScheduleState.ON)
    frozen_clock.forward(seconds=31)
    assert {each.state for each in schedules.list_schedules(OPERATOR)} == {ScheduleState.LATE}


def test_a_run_that_fails_is_shown_as_skipped_and_the_next_one_is_on_time(
    done: list[str], frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_off: object) -> DutyOutcome:
        raise RuntimeError

    monkeypatch.setattr(scheduler, "SCHEDULES", {broken: replace(schedules.BY_NAME["subscription-check"], duty=broken)})
    tick()
    failed = listed("subscription-check")
    assert (failed.last_at, failed.skipped_at, failed.skip) == (None, frozen_clock.at, scheduler.FAILED)
    assert (failed.running_since, failed.next_at) == (None, frozen_clock.at + timedelta(days=1))
    frozen_clock.forward(days=1, hours=1)
    assert listed("subscription-check").skip is None


def test_the_daily_refresh_shows_the_contacts_and_calls_of_its_jobs_or_why_it_was_skipped(
    app: Flask, redis: Redis, frozen_clock: FrozenClock
) -> None:
    account_id = an_account().id
    people_wrote(LEA)
    named(account_id, LEA, ago=timedelta(days=8))
    schedules.run_now(OPERATOR, "daily-refresh")
    tick()
    assert (listed("daily-refresh").did, listed("daily-refresh").skip) == ("1 contact", None)
    schedules.run_now(OPERATOR, "daily-refresh")
    tick()
    skipped = listed("daily-refresh")
    assert (skipped.did, skipped.skip) == ("1 contact", "A refresh was active")
    limited = Viewer(user_id=3, name="ops@example.com", role=Role.OPS, account_ids=frozenset({account_id + 1}))
    assert (listed("daily-refresh", limited).result, listed("daily-refresh", limited).skip) == (None, None)


def test_only_those_who_see_every_account_change_schedules_and_agents_see_none(app: Flask) -> None:
    limited = Viewer(user_id=3, name="ops@example.com", role=Role.OPS, account_ids=frozenset({1}))
    agent = Viewer(user_id=4, name="agent@example.com", role=Role.AGENT)
    assert len(schedules.list_schedules(limited)) == len(schedules.SCHEDULES)
    with pytest.raises(Forbidden):
        schedules.list_schedules(agent)
    for change in (schedules.run_now, schedules.switch_off, schedules.switch_on):
        for viewer in (limited, agent):
            with pytest.raises(Forbidden):
                change(viewer, HOURLY)
        with pytest.raises(NotFound):
            change(OPERATOR, "tea-time")
    with pytest.raises(Conflict, match="can’t be switched off"):
        schedules.switch_off(OPERATOR, "purge")
    assert db.session.scalars(select(AuditEntry)).all() == []


def test_a_schedule_that_is_off_for_an_account_leaves_it_out_and_says_so(
    app: Flask, redis: Redis, frozen_clock: FrozenClock
) -> None:
    an_account()
    an_account(ATELIER_NORD)
    schedules.switch_off(OPERATOR, HOURLY, ig_account_id=ATELIER_NORD, reason="  Rebranding\n until Friday ")
    with pytest.raises(Conflict, match=r"off for atelier\.nord already"):
        schedules.switch_off(OPERATOR, HOURLY, ig_account_id=ATELIER_NORD)
    schedules.run_now(OPERATOR, HOURLY)
    at_once(app, 2, tick)
    now = listed()
    assert (now.did, now.skip, now.off_at) == ("1 account", "Off for atelier.nord", None)
    assert [(each.account, each.off_by, each.off_reason) for each in now.off_accounts] == [
        ("atelier.nord", "Command line", "Rebranding until Friday")
    ]
    schedules.switch_on(OPERATOR, HOURLY, ig_account_id=ATELIER_NORD)
    with pytest.raises(Conflict, match=r"on for atelier\.nord already"):
        schedules.switch_on(OPERATOR, HOURLY, ig_account_id=ATELIER_NORD)
    schedules.run_now(OPERATOR, HOURLY)
    tick()
    assert (listed().did, listed().off_accounts) == ("2 accounts", ())
    noted = db.session.execute(select(AuditEntry.action, AuditEntry.ig_account_id).order_by(AuditEntry.id)).all()
    assert [tuple(each) for each in noted if each.action != "schedule_run"] == [
        ("schedule_off", ATELIER_NORD),
        ("schedule_on", ATELIER_NORD),
    ]


@pytest.mark.parametrize("name", [each.name for each in schedules.SCHEDULES if each.per_account])
def test_each_schedule_of_accounts_does_nothing_for_an_account_for_which_it_is_off(
    name: str, app: Flask, redis: Redis, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = an_account(token_at=frozen_clock.at - timedelta(days=8))
    people_wrote(LEA)
    named(account.id, LEA, ago=timedelta(days=8))
    called = list[str]()
    monkeypatch.setattr("app.calls.gateway.refresh_token", lambda _id: called.append("refresh"))
    monkeypatch.setattr("app.calls.gateway.missing_subscriptions", lambda _id: called.append("check"))
    schedules.switch_off(OPERATOR, name, ig_account_id=account.ig_account_id)
    outcome = schedules.perform(schedules.BY_NAME[name])
    assert outcome.skipped == f"Off for {account.username or account.ig_account_id}"
    assert not any(outcome.result.values() if outcome.result else ())
    assert called == []


def test_a_removed_account_takes_its_switches_along(app: Flask) -> None:
    account = an_account(state=AccountState.DELETING)
    with transaction.write() as tx:
        schedules_off.switch_off(tx, "pictures", account.id, off_by="Nadia", reason=None)
    assert listed("pictures").off_accounts == ()
    accounts.delete_pending()
    assert db.session.scalars(select(AccountScheduleOff)).all() == []


def test_limited_ops_switch_only_schedules_of_accounts_they_see(app: Flask) -> None:
    seen, hidden = an_account(), an_account(ATELIER_NORD)
    limited = Viewer(user_id=3, name="ops@example.com", role=Role.OPS, account_ids=frozenset({seen.id}))
    agent = Viewer(user_id=4, name="agent@example.com", role=Role.AGENT)
    schedules.switch_off(limited, HOURLY, ig_account_id=seen.ig_account_id)
    schedules.switch_off(OPERATOR, HOURLY, ig_account_id=hidden.ig_account_id)
    assert [each.ig_account_id for each in listed(viewer=limited).off_accounts] == [seen.ig_account_id]
    for change in (schedules.switch_off, schedules.switch_on):
        with pytest.raises(NotFound):
            change(limited, HOURLY, ig_account_id=hidden.ig_account_id)
        with pytest.raises(Forbidden):
            change(agent, HOURLY, ig_account_id=seen.ig_account_id)
        with pytest.raises(Conflict, match=r"concerns all accounts|can’t be"):
            change(OPERATOR, "purge", ig_account_id=seen.ig_account_id)
    with pytest.raises(Invalid):
        schedules.switch_off(OPERATOR, "pictures", reason="x" * 201)


def test_the_card_of_an_account_says_that_its_access_token_is_not_refreshed(
    app: Flask, frozen_clock: FrozenClock
) -> None:
    account = an_account(token_expires_at=frozen_clock.at + timedelta(days=40))

    def says() -> str:
        db.session.rollback()
        return health.list_health(OPERATOR)[0].token.says

    assert "refreshes automatically" in says()
    schedules.switch_off(OPERATOR, "token-refresh", ig_account_id=account.ig_account_id)
    assert says() == "Valid for 40 days. Automatic refresh is off: switch it on in Schedules."
    schedules.switch_on(OPERATOR, "token-refresh", ig_account_id=account.ig_account_id)
    schedules.switch_off(OPERATOR, "token-refresh")
    assert "Automatic refresh is off" in says()
