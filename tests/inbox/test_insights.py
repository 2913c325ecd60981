"""Figures from rows: people, calls, times, reasons."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.identities import sighting
from app.identities.sighting import Sighting
from app.identities.verdict import Verdict
from app.inbox import insights
from app.instagram.errors import Reason, Scope
from app.models.identity import Lookup, Purpose, Source
from app.models.inbox import Account
from tests.bed.hands import Hands
from tests.cast import CAMILLE, LEA, SHY, an_account, people_wrote

NO_CONSENT = Verdict(Reason.CONSENT, Scope.PERSON, "230", "User consent is required")


@pytest.fixture
def account(app: Flask, hands: Hands) -> Account:
    hands.at = hands.at.replace(hour=12, minute=30)
    return an_account()


def called(account: Account, *, ago: timedelta, took_ms: int, code: str | None = None) -> None:
    with transaction.write() as tx:
        values = {"account_id": account.id, "call": "profile", "purpose": Purpose.LIVE, "took_ms": took_ms}
        tx.execute(tx.insert(Lookup).values(at=clock.now() - ago, code=code, **values))


def test_people_are_counted_by_how_they_are_shown(account: Account) -> None:
    people_wrote(LEA, CAMILLE, SHY)
    with transaction.write() as tx:
        sighting.record(tx, account.id, Sighting(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now()))
        sighting.record(tx, account.id, Sighting(CAMILLE, None, "Camille", None, Source.PROFILE, clock.now()))
        sighting.failed(tx, account.id, SHY, NO_CONSENT, at=clock.now(), raw=None)
    found = insights.of(account.id)
    assert (found.people, found.with_username, found.by_short_id) == (3, 1, 1)
    assert (len(found.days), found.days[-1]) == (30, insights.Shown(str(clock.now().date()), 1, 1, 1))
    assert found.reasons == (("This person hasn’t agreed to share a profile", 1),)


def test_calls_are_counted_by_the_hour_with_their_times(account: Account) -> None:
    for took in (100, 200, 900):
        called(account, ago=timedelta(minutes=5), took_ms=took)
    called(account, ago=timedelta(hours=2), took_ms=50, code="230")
    called(account, ago=timedelta(hours=25), took_ms=5_000)
    found = insights.of(account.id)
    assert (found.hours[-1].calls, found.hours[-1].failed, found.hours[-1].p50) == (3, 0, 200)
    assert (found.hours[-3].calls, found.hours[-3].failed) == (1, 1)
    assert (sum(hour.calls for hour in found.hours), found.p95) == (4, 900)


def test_what_is_not_known_is_none(account: Account) -> None:
    found = insights.of(account.id)
    assert (found.p95, found.cache_percent, found.reasons, found.people) == (None, None, (), 0)
