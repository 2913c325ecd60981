"""Hourly snapshots that the scheduler stores for Insights."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from flask import Flask
from sqlalchemy import delete, select

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.insights import hourly_stats
from app.insights.hourly_stats import ContactCounts
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Source
from app.models.stats import HourlyStats
from tests.calls.lookups import made
from tests.factories import ATELIER_NORD, CAMILLE, LEA, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def account(app: Flask, frozen_clock: FrozenClock) -> Account:
    frozen_clock.at = frozen_clock.at.replace(hour=12, minute=30)
    return an_account()


def snapshots() -> list[tuple[int, int, int, int, int, int]]:
    db.session.rollback()
    rows = db.session.scalars(select(HourlyStats).order_by(HourlyStats.account_id, HourlyStats.at))
    return [(row.at.hour, row.username, row.name, row.short_id, row.messages, row.lookups) for row in rows]


def named(account: Account, who: str, username: str | None, name: str | None) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(who, username, name, None, Source.PROFILE, clock.now()))


def test_a_snapshot_counts_contacts_messages_and_lookups(account: Account) -> None:
    people_wrote(LEA, CAMILLE, SHY)
    named(account, LEA, "lea.moreau", "Léa")
    named(account, CAMILLE, None, "Camille")
    made(account.id, 2, purpose=Purpose.LIVE)
    made(account.id, 1, purpose=Purpose.BACKFILL)
    hourly_stats.record()
    hourly_stats.record()
    assert snapshots() == [(12, 1, 1, 1, 3, 2)]


def test_the_hour_before_is_completed_and_keeps_its_contacts(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA)
    hourly_stats.record()
    frozen_clock.forward(minutes=20)
    people_wrote(CAMILLE)
    frozen_clock.forward(minutes=20)
    named(account, LEA, "lea.moreau", None)
    hourly_stats.record()
    assert snapshots() == [(12, 0, 0, 1, 2, 0), (13, 1, 0, 1, 0, 0)]


def test_each_account_has_its_own_snapshots_and_old_ones_are_deleted(
    account: Account, frozen_clock: FrozenClock
) -> None:
    an_account(ATELIER_NORD)
    people_wrote(LEA)
    hourly_stats.record()
    assert [row[3] for row in snapshots()] == [1, 0]
    frozen_clock.forward(days=32)
    with transaction.write() as tx:
        hourly_stats.purge(tx, clock.now() - timedelta(days=2))
        assert len(tx.execute(select(HourlyStats)).all()) == 2
        hourly_stats.purge(tx, clock.now())
    assert snapshots() == []


def test_an_account_that_is_removed_meanwhile_does_not_keep_others_from_their_numbers(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed, kept, counted = account.id, an_account(ATELIER_NORD).id, hourly_stats.count_contacts

    def meanwhile(account_id: int) -> ContactCounts:
        with transaction.write() as tx:
            tx.execute(delete(Account).where(Account.id == removed))
        return counted(account_id)

    # The account must go between its listing and the write.
    monkeypatch.setattr(hourly_stats, "count_contacts", meanwhile)
    hourly_stats.record()
    db.session.rollback()
    assert db.session.scalars(select(HourlyStats.account_id)).all() == [kept]


def test_contacts_of_an_unchanged_account_are_counted_once(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA, CAMILLE)
    with patch.object(hourly_stats, "count_contacts", side_effect=hourly_stats.count_contacts) as counted:
        hourly_stats.record()
        frozen_clock.forward(hours=1)
        hourly_stats.record()
        assert counted.call_count == 1
        assert [row[3] for row in snapshots()] == [2, 2]
        named(account, LEA, "lea.moreau", None)
        hourly_stats.record()
        assert counted.call_count == 2
    assert [row[1] for row in snapshots()] == [0, 1]


def test_without_redis_contacts_are_counted_every_time(account: Account) -> None:
    people_wrote(LEA)
    hourly_stats.record()
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        people_wrote(CAMILLE)
        hourly_stats.record()
    assert [row[3] for row in snapshots()] == [2]
