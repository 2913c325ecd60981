"""The figures of the Insights page: contacts, calls, reasons of failures."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.insights import hourly_stats, summary
from app.insights.summary import Insights
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Source
from tests.factories import ATELIER_NORD, CAMILLE, LEA, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def account(app: Flask, frozen_clock: FrozenClock, redis_server: str) -> Account:
    frozen_clock.at = frozen_clock.at.replace(hour=12, minute=30)
    return an_account()


def insights(*accounts: Account, period: str = "month") -> Insights:
    return summary.get_insights([each.id for each in accounts], period=period, zone=ZoneInfo("UTC"))


def called(account: Account, *, ago: timedelta, code: str | None = None, answer: str = "username, name") -> None:
    with transaction.write() as tx:
        values = {"account_id": account.id, "call": "profile", "purpose": Purpose.LIVE, "took_ms": 90}
        tx.execute(tx.insert(ApiCall).values(at=clock.now() - ago, code=code, answer=answer, **values))


def named(account: Account, who: str, username: str | None, name: str | None = None) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(who, username, name, None, Source.PROFILE, clock.now()))


def test_contacts_of_all_accounts_are_counted_by_how_they_are_shown(account: Account) -> None:
    people_wrote(LEA, CAMILLE, SHY)
    named(account, LEA, "lea.moreau")
    named(account, CAMILLE, None, "Camille")
    other = an_account(ATELIER_NORD)
    named(other, LEA, "lea.moreau")
    alone, both = insights(account), insights(account, other)
    assert (alone.contacts, alone.with_username, alone.by_short_id) == (3, 1, 1)
    assert (both.contacts, both.with_username, both.username_percent) == (4, 2, 50)


def test_contacts_and_the_last_bucket_are_counted_now_also_right_after_a_snapshot(account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    hourly_stats.record()
    named(account, LEA, "lea.moreau")
    named(account, CAMILLE, "camille.r")
    found = insights(account)
    assert (found.contacts, found.username_percent, found.by_short_id) == (2, 100, 0)
    assert (found.buckets[-1].username, found.buckets[-1].short_id) == (2, 0)


def test_contacts_of_a_large_account_are_those_of_the_newest_snapshot_unless_the_scheduler_has_stopped(
    account: Account, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hourly_stats, "COUNTED_NOW", 1)
    people_wrote(LEA, CAMILLE)
    hourly_stats.record()
    people_wrote(SHY)
    assert insights(account).contacts == 2
    frozen_clock.forward(hours=2)
    assert insights(account).contacts == 3
    hourly_stats.record()
    other = an_account(ATELIER_NORD)  # has no snapshot
    named(other, LEA, "lea.moreau")
    assert (insights(account, other).contacts, insights(account, other).with_username) == (4, 1)


def test_a_change_begins_with_the_first_day_that_has_figures(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA, CAMILLE)
    hourly_stats.record()
    assert insights(account).change is None
    frozen_clock.forward(days=2)
    named(account, LEA, "lea.moreau")
    change = insights(account).change
    assert change is not None
    assert (change.points, change.whole, change.since.date()) == (50, False, (clock.now() - timedelta(days=2)).date())


def test_failures_are_counted_by_reason_within_the_period(account: Account) -> None:
    for code in ("230", "230", "timeout", "100/33", "http 503", "no_token"):
        called(account, ago=timedelta(hours=3), code=code)
    called(account, ago=timedelta(hours=3), answer="name, picture")
    called(account, ago=timedelta(days=3), code="230")
    assert dict(insights(account, period="day").reasons) == {
        "Profile consent": 2,
        "Timeout": 1,
        "Not visible": 1,
        "Instagram’s trouble": 1,
        "Bad token": 1,
        "No username (name kept)": 1,
    }
    week = insights(account, period="week")
    assert (week.reasons[0], week.failures) == (("Profile consent", 3), 8)


def test_figures_without_data_are_none(account: Account) -> None:
    found = insights(account)
    assert (found.p95, found.cache_percent, found.change, found.reasons) == (None, None, None, ())
    assert (found.username_percent, found.used, found.background_limit) == (None, 0, 160)
