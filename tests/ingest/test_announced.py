"""Announced messages: a few attempts with growing pauses, within a tenth of the budget, then a dead letter."""

from datetime import datetime, timedelta

import pytest
from redis import Redis
from sqlalchemy import select

from app import doctor, queue, scheduler, settings
from app.db import transaction
from app.db.engine import db
from app.findings import Level
from app.ingest import announced, dead_letters, pending_updates, replay
from app.ingest.replay import Replayed
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Message
from app.models.ingest import PendingMessageUpdate
from app.viewer import OPERATOR
from tests.calls.lookups import noted
from tests.factories import LEA, a_message_event, a_sandbox_account, deliver
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox


@pytest.fixture
def account(meta: Sandbox, frozen_clock: FrozenClock) -> Account:
    return a_sandbox_account()


def announce(mid: str, at: datetime) -> None:
    edit_zero = {"mid": mid, "num_edit": 0}
    deliver({"sender": {"id": LEA}, "timestamp": int(at.timestamp() * 1000), "message_edit": edit_zero})


def letters() -> list[tuple[str, str]]:
    db.session.rollback()
    return [(each.reason, dead_letters.readable(each.raw)) for each in dead_letters.newest(OPERATOR)]


def look(account: Account, frozen_clock: FrozenClock, **pause: float) -> None:
    frozen_clock.forward(**pause)
    assert pending_updates.due(frozen_clock.now()) == [account.id]
    announced.fetch_due(account.id)
    assert pending_updates.due(frozen_clock.now()) == []


def look_until_given_up(account: Account, frozen_clock: FrozenClock) -> None:
    for pause in pending_updates.PAUSES:
        look(account, frozen_clock, seconds=pause.total_seconds())


def test_an_announced_message_is_found_within_seconds(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock, redis: Redis
) -> None:
    [mid] = meta.post("send", person=LEA, text="Bonjour")["mids"]
    announce(mid, frozen_clock.now())
    scheduler.fetch_announced()
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.ANNOUNCED].queue}") == 0
    frozen_clock.forward(seconds=5)
    scheduler.fetch_announced()
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.ANNOUNCED].queue}") == 1
    announced.fetch_due(account.id)
    assert db.session.scalars(select(Message.mid)).one() == mid
    assert db.session.scalars(select(PendingMessageUpdate)).all() == []
    assert [row.purpose for row in noted()] == [Purpose.ANNOUNCED]


def test_a_message_that_is_not_found_becomes_a_dead_letter_after_five_attempts(
    account: Account, frozen_clock: FrozenClock
) -> None:
    announce("m_gone", frozen_clock.now())
    look_until_given_up(account, frozen_clock)
    assert len(noted()) == len(pending_updates.PAUSES) == 5
    [(reason, raw)] = letters()
    assert (reason, "m_gone" in raw) == ("unresolved", True)
    frozen_clock.forward(days=1)
    assert pending_updates.due(frozen_clock.now()) == []
    [finding] = [each for each in doctor.examine(OPERATOR) if each.check == "unresolved messages"]
    assert (finding.level, finding.message[0]) == (Level.WARNING, "1")


def test_many_announcements_use_at_most_a_tenth_of_the_budget(account: Account, frozen_clock: FrozenClock) -> None:
    with settings.using(graph_calls_per_hour=40):
        for tick in range(120):
            if tick % 2 == 0:
                announce(f"m_{tick}", frozen_clock.now())
                announce("m_again", frozen_clock.now())
            frozen_clock.forward(seconds=15)
            if pending_updates.due(frozen_clock.now()):
                announced.fetch_due(account.id)
    assert len(noted()) == 4
    waits = db.session.scalars(select(PendingMessageUpdate.next_try_at)).all()
    assert len(waits) == 61
    assert None not in waits


def test_attempts_without_a_call_are_repeated_when_calls_resume(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock, redis: Redis
) -> None:
    [mid] = meta.post("send", person=LEA, text="Bonjour")["mids"]
    announce(mid, frozen_clock.now())
    meta.post("faults", mode="80002", call="conversations")
    look(account, frozen_clock, seconds=5)
    for _ in range(8):
        look(account, frozen_clock, minutes=1)
    assert len(noted()) == 1  # the circuit breaker stopped the others
    meta.request("DELETE", "faults")
    redis.flushall()  # closes the circuit breaker
    look(account, frozen_clock, minutes=1)
    assert db.session.scalars(select(Message.mid)).one() == mid
    assert letters() == []


def test_a_message_without_any_attempt_becomes_a_dead_letter_after_a_day(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    announce("m_gone", frozen_clock.now())
    meta.post("faults", mode="190")
    look(account, frozen_clock, seconds=5)
    assert letters() == []
    look(account, frozen_clock, days=1)
    assert [reason for reason, _ in letters()] == ["unresolved"]


@pytest.mark.parametrize("how", ["delivered", "synced"])
def test_a_dead_letter_is_deleted_when_its_message_arrives(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock, how: str
) -> None:
    [mid] = meta.post("send", person=LEA, text="Bonjour")["mids"]
    announce(mid, frozen_clock.now())
    meta.request("PATCH", f"conversations/{LEA}", participants=[])
    look_until_given_up(account, frozen_clock)
    assert len(letters()) == 1
    if how == "delivered":
        deliver(a_message_event(LEA, "Bonjour", mid=mid))
    else:
        meta.request("PATCH", f"conversations/{LEA}", participants=None)
        assert replay.replay_all(OPERATOR) == Replayed(processed=1, failed=0)
        look(account, frozen_clock, seconds=0)
    assert letters() == []
    assert db.session.scalars(select(Message.mid)).one() == mid


def test_a_replayed_announcement_that_is_not_found_becomes_a_dead_letter_again(
    account: Account, frozen_clock: FrozenClock
) -> None:
    announce("m_gone", frozen_clock.now())
    look_until_given_up(account, frozen_clock)
    replay.replay_all(OPERATOR)
    assert letters() == []
    look(account, frozen_clock, seconds=0)
    for pause in pending_updates.PAUSES[1:]:
        look(account, frozen_clock, seconds=pause.total_seconds())
    assert [reason for reason, _ in letters()] == ["unresolved"]


def test_two_workers_never_fetch_the_same_message_at_the_same_time(account: Account, frozen_clock: FrozenClock) -> None:
    announce("m", frozen_clock.now())
    frozen_clock.forward(seconds=5)
    with transaction.write() as tx:
        assert len(pending_updates.claim(tx, account.id, at=frozen_clock.now())) == 1
        assert pending_updates.claim(tx, account.id, at=frozen_clock.now()) == []
    frozen_clock.at += pending_updates.CLAIMED + timedelta(seconds=1)  # its worker was killed
    look(account, frozen_clock, seconds=0)
