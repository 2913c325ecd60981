"""Data of the charts on the Insights page."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import update

from app import clock
from app.db import transaction
from app.insights import charts
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Identity
from app.models.stats import HourlyStats
from tests.factories import ATELIER_NORD, LEA, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock

MONTH = timedelta(days=30)


@pytest.fixture
def account(app: Flask, frozen_clock: FrozenClock) -> Account:
    frozen_clock.at = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
    return an_account()


def hour(account: Account, at: datetime, username: int, short_id: int, messages: int = 0, lookups: int = 0) -> None:
    with transaction.write() as tx:
        shown = {"username": username, "name": 0, "short_id": short_id, "messages": messages, "lookups": lookups}
        tx.execute(tx.insert(HourlyStats).values(account_id=account.id, at=at, **shown))


def called(account: Account, who: str, *, at: datetime, took_ms: int, code: str | None = None) -> None:
    with transaction.write() as tx:
        call = {"account_id": account.id, "call": "profile", "purpose": Purpose.LIVE, "ig_participant_id": who}
        tx.execute(tx.insert(ApiCall).values(at=at, took_ms=took_ms, code=code, **call))


def test_a_day_shows_its_last_hour_and_the_sum_of_its_messages(account: Account) -> None:
    today = clock.now().replace(hour=0, minute=0)
    other = an_account(ATELIER_NORD)
    hour(account, today + timedelta(hours=8), 1, 9, messages=10, lookups=5)
    hour(account, today + timedelta(hours=9), 6, 4, messages=30, lookups=1)
    hour(other, today + timedelta(hours=9), 2, 0)
    of_both = charts.buckets([account.id, other.id], length=MONTH, zone=ZoneInfo("UTC"))
    assert len(of_both) == 30
    assert (of_both[-1].username, of_both[-1].short_id, of_both[-1].messages) == (8, 4, 40)
    assert of_both[-1].cache_percent == 85
    assert (of_both[-2].contacts, of_both[-2].cache_percent) == (0, None)
    assert charts.cache_percent(of_both) == 85
    assert charts.buckets([account.id], length=MONTH, zone=ZoneInfo("UTC"))[-1].username == 6


def test_days_begin_at_midnight_of_the_time_zone(account: Account) -> None:
    hour(account, datetime(2026, 11, 26, 23, 0, tzinfo=UTC), 3, 0)
    at_home = charts.buckets([account.id], length=MONTH, zone=ZoneInfo("Europe/Paris"))
    assert (at_home[-1].username, at_home[-2].username) == (3, 0)
    abroad = charts.buckets([account.id], length=MONTH, zone=ZoneInfo("UTC"))
    assert (abroad[-1].username, abroad[-2].username) == (0, 3)


def test_a_single_day_is_shown_by_the_hour(account: Account) -> None:
    hour(account, clock.now().replace(minute=0), 3, 0)
    of_day = charts.buckets([account.id], length=timedelta(days=1), zone=ZoneInfo("UTC"))
    assert (len(of_day), of_day[-1].username, of_day[-1].at.hour) == (24, 3, 12)


def test_a_new_contact_is_timed_from_the_webhook_to_the_name(account: Account) -> None:
    people_wrote(LEA, SHY)
    met = clock.now() - timedelta(minutes=10)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(first_seen_at=met))
    called(account, LEA, at=met + timedelta(milliseconds=50), took_ms=150)
    called(account, LEA, at=met + timedelta(minutes=5), took_ms=900)
    called(account, SHY, at=met + timedelta(milliseconds=60), took_ms=300, code="230")
    hours, p95 = charts.hours([account.id])
    assert (hours[-1].calls, hours[-1].failed, hours[-1].p50, p95) == (3, 1, 200, 200)
    assert (len(hours), hours[0].calls, hours[0].p95) == (24, 0, None)


def test_a_contact_from_imported_history_is_not_new(account: Account) -> None:
    people_wrote(LEA, at=clock.now() - timedelta(days=2))
    called(account, LEA, at=clock.now(), took_ms=150)
    _, p95 = charts.hours([account.id])
    assert p95 is None


def test_a_percentile_is_one_of_the_values() -> None:
    assert charts.percentile([], 50) is None
    assert charts.percentile([900, 100, 200], 50) == 200
    assert charts.percentile(list(range(100)), 95) == 95
