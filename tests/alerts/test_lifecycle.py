"""Alerts open once per cause and account, recover once, and are acknowledged once."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text, update

from app import clock, doctor, heartbeats, queue, schedules
from app.alerts import lifecycle, listing
from app.alerts.listing import ListedAlert
from app.db import transaction
from app.db.engine import db
from app.erasure import accounts as account_erasure
from app.errors import Conflict, Forbidden, NotFound
from app.models.account import Account, AccountState
from app.models.alert import AlertKind
from app.models.process import Heartbeat, Level
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account, people_wrote
from tests.support.at_once import at_once
from tests.support.frozen_clock import FrozenClock


@pytest.fixture(autouse=True)
def well(app: Flask, redis: Redis, frozen_clock: FrozenClock) -> None:
    """An installation without a problem: an account, and heartbeats of all processes."""
    an_account()
    beat()


def beat() -> None:
    for part in (heartbeats.SCHEDULER, *(task.queue for task in queue.TASKS.values())):
        heartbeats.reset()
        heartbeats.beat(part)


def check() -> None:
    """Run the duties of the scheduler that open and recover alerts."""
    db.session.rollback()
    doctor.record()
    lifecycle.record()
    db.session.rollback()


def kill_workers() -> None:
    with transaction.write() as tx:
        dead = update(Heartbeat).where(Heartbeat.part != heartbeats.SCHEDULER)
        tx.execute(dead.values(at=clock.now() - timedelta(minutes=1)))


def break_token(ig_account_id: str = MAISON_LUNE, state: AccountState = AccountState.RECONNECT) -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.ig_account_id == ig_account_id).values(state=state))


def listed(viewer: Viewer = OPERATOR) -> list[ListedAlert]:
    db.session.rollback()
    return list(listing.list_alerts(viewer))


def kinds() -> list[tuple[AlertKind, str, int]]:
    return [(each.kind, each.state, each.times) for each in listed()]


def test_without_a_problem_there_is_no_alert() -> None:
    check()
    assert listed() == []


def test_all_workers_missing_are_one_alert_that_recovers_once(frozen_clock: FrozenClock) -> None:
    people_wrote("1520000000000011")
    kill_workers()
    for _ in range(5):
        check()
        frozen_clock.forward(seconds=61)
        heartbeats.reset()
        heartbeats.beat(heartbeats.SCHEDULER)
    [alert] = listed()
    assert (alert.kind, alert.level, alert.times) == (AlertKind.WORKER_MISSING, Level.ERROR, 1)
    assert all(f"Worker {name}: No heartbeat" in alert.text for name in queue.QUEUES)
    assert alert.seen_at > alert.opened_at
    beat()
    check()
    assert (AlertKind.WORKER_MISSING, "recovered", 1) in kinds()


def test_an_explained_problem_opens_its_alert_once_the_cause_has_recovered(frozen_clock: FrozenClock) -> None:
    people_wrote("1520000000000011")
    kill_workers()
    frozen_clock.forward(seconds=90)
    heartbeats.beat(heartbeats.SCHEDULER)
    check()
    assert kinds() == [(AlertKind.WORKER_MISSING, "open", 1)]
    beat()
    check()
    assert kinds() == [(AlertKind.LOOKUPS_WAITING, "open", 1), (AlertKind.WORKER_MISSING, "recovered", 1)]


def test_each_account_has_an_alert_of_its_own() -> None:
    an_account(ATELIER_NORD)
    break_token()
    break_token(ATELIER_NORD)
    check()
    check()
    assert {(each.kind, each.ig_account_id) for each in listed()} == {
        (AlertKind.TOKEN_REJECTED, MAISON_LUNE),
        (AlertKind.TOKEN_REJECTED, ATELIER_NORD),
    }


def test_an_alert_that_returns_within_half_an_hour_is_the_same_one(frozen_clock: FrozenClock) -> None:
    for _ in range(3):
        break_token()
        check()
        frozen_clock.forward(minutes=10)
        beat()
        break_token(state=AccountState.CONNECTED)
        check()
        frozen_clock.forward(minutes=10)
        beat()
    assert kinds() == [(AlertKind.TOKEN_REJECTED, "recovered", 3)]
    frozen_clock.forward(minutes=31)
    beat()
    break_token()
    check()
    assert kinds() == [(AlertKind.TOKEN_REJECTED, "open", 1), (AlertKind.TOKEN_REJECTED, "recovered", 3)]


def test_several_schedulers_open_and_recover_an_alert_once(app: Flask) -> None:
    break_token()
    doctor.record()
    at_once(app, 4, lifecycle.record)
    assert kinds() == [(AlertKind.TOKEN_REJECTED, "open", 1)]
    break_token(state=AccountState.CONNECTED)
    doctor.record()
    at_once(app, 4, lifecycle.record)
    assert kinds() == [(AlertKind.TOKEN_REJECTED, "recovered", 1)]


def test_findings_that_are_no_longer_current_change_no_alert(frozen_clock: FrozenClock) -> None:
    break_token()
    check()
    break_token(state=AccountState.CONNECTED)
    frozen_clock.forward(minutes=3)
    lifecycle.record()
    assert kinds() == [(AlertKind.TOKEN_REJECTED, "open", 1)]


def test_a_check_that_fails_itself_recovers_no_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    break_token()
    check()
    monkeypatch.setattr(doctor, "_account", lambda _: 1 // 0)
    check()
    assert {(each.kind, each.state) for each in listed()} == {
        (AlertKind.TOKEN_REJECTED, "open"),
        (AlertKind.HEALTH_CHECK, "open"),
    }


def test_an_alert_that_only_a_newer_release_finds_stays_open() -> None:
    break_token()
    check()
    with transaction.write() as tx:
        tx.execute(text("UPDATE alerts SET kind = 'tide_rising', open_key = 'tide_rising 1'"))
    check()
    assert {(str(each.kind), each.state) for each in listed()} == {
        ("tide_rising", "open"),
        ("token_rejected", "open"),
    }
    newer = next(each for each in listed() if each.kind == "tide_rising")
    lifecycle.acknowledge(OPERATOR, newer.id)
    assert [each.kind for each in listing.list_unacknowledged(OPERATOR)] == [AlertKind.TOKEN_REJECTED]


def test_a_deleted_account_takes_its_alerts_along() -> None:
    break_token()
    check()
    break_token(state=AccountState.DELETING)
    account_erasure.delete_pending()
    assert listed() == []
    check()
    assert listed() == []


def test_an_alert_is_acknowledged_once_and_no_longer_counted(frozen_clock: FrozenClock) -> None:
    break_token()
    check()
    [alert] = listed()
    assert listing.list_unacknowledged(OPERATOR) == (alert,)
    lifecycle.acknowledge(OPERATOR, alert.id)
    assert listing.list_unacknowledged(OPERATOR) == ()
    assert listed()[0].acknowledged_by == "Command line"
    with pytest.raises(Conflict, match="Command line has acknowledged this alert already"):
        lifecycle.acknowledge(OPERATOR, alert.id)
    break_token(state=AccountState.CONNECTED)
    check()
    with pytest.raises(Conflict, match="has recovered already"):
        lifecycle.acknowledge(OPERATOR, alert.id)


def test_limited_viewers_see_and_acknowledge_alerts_of_their_accounts_only() -> None:
    nord = an_account(ATELIER_NORD)
    limited = Viewer(7, "limited@example.com", Role.OPS, frozenset({nord.id}))
    kill_workers()
    break_token()
    check()
    assert listed(limited) == []
    assert listing.list_unacknowledged(limited) == ()
    with pytest.raises(NotFound):
        lifecycle.acknowledge(limited, listed()[0].id)
    break_token(ATELIER_NORD)
    check()
    [alert] = listed(limited)
    lifecycle.acknowledge(limited, alert.id)
    with pytest.raises(Forbidden):
        lifecycle.acknowledge(Viewer(8, "agent@example.com", Role.AGENT), alert.id)


def test_recovered_alerts_are_kept_for_90_days(frozen_clock: FrozenClock) -> None:
    break_token()
    check()
    break_token(state=AccountState.CONNECTED)
    check()
    frozen_clock.forward(days=89)
    schedules.purge()
    assert len(listed()) == 1
    frozen_clock.forward(days=2)
    schedules.purge()
    assert listed() == []
