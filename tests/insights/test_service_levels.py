"""Service levels of naming, and alerts when one is missed or the mix of reasons moves."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis

from app import clock, doctor
from app.db import transaction
from app.db.engine import db
from app.findings import Finding
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.insights import hourly_stats, service_levels, summary
from app.insights.service_levels import ServiceLevel
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Identity, Source
from app.viewer import OPERATOR
from tests.factories import an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import signed_in


@pytest.fixture
def account(app: Flask, redis: Redis, frozen_clock: FrozenClock) -> Account:
    service_levels._usual.clear()
    return an_account()


def contact(number: int) -> str:
    return f"15200000009{number:05}"


def call(
    account: Account, who: str, *, ago: timedelta = timedelta(0), took_ms: int = 90, code: str | None = None
) -> None:
    with transaction.write() as tx:
        values = {"account_id": account.id, "call": "profile", "purpose": Purpose.LIVE, "ig_participant_id": who}
        tx.execute(tx.insert(ApiCall).values(at=clock.now() - ago, took_ms=took_ms, code=code, **values))


def named(account: Account, who: str, *, took_ms: int) -> None:
    call(account, who, took_ms=took_ms)
    with transaction.write() as tx:
        seen = ProfileObservation(who, f"user.{who}", None, None, Source.PROFILE, clock.now())
        observations.record(tx, account.id, seen)


def levels(account: Account) -> list[tuple[int, int]]:
    db.session.rollback()
    found = service_levels.service_levels(account.id, clock.now() - service_levels.PERIOD)
    return [(each.in_time, each.contacts) for each in found]


def findings_of(check: str) -> list[Finding]:
    return [each for each in doctor.examine(OPERATOR) if each.key == f"naming.{check}"]


def test_new_contacts_are_counted_by_how_long_they_waited_for_their_name(
    account: Account, frozen_clock: FrozenClock
) -> None:
    assert levels(account) == [(0, 0), (0, 0)]
    people_wrote(*map(contact, range(4)))
    named(account, contact(0), took_ms=500)
    named(account, contact(1), took_ms=501)
    frozen_clock.forward(seconds=1)
    assert levels(account) == [(1, 4), (2, 2)]  # the other two may still be named within an hour
    frozen_clock.forward(hours=2)
    assert levels(account) == [(1, 4), (2, 4)]


def test_insights_shows_the_service_levels_of_the_newest_snapshot(account: Account, frozen_clock: FrozenClock) -> None:
    def shown() -> list[tuple[int, int]]:
        db.session.rollback()
        return [(each.in_time, each.contacts) for each in summary.get_service_levels([account.id])]

    people_wrote(*map(contact, range(3)))
    named(account, contact(0), took_ms=90)
    frozen_clock.forward(hours=2)
    assert shown() == levels(account) == [(1, 3), (1, 3)]
    hourly_stats.record()
    named(account, contact(1), took_ms=90)
    assert shown() == [(1, 3), (1, 3)]
    hourly_stats.record()
    assert shown() == levels(account) == [(1, 3), (1, 3)]
    frozen_clock.forward(hours=3)  # the scheduler does not run
    people_wrote(contact(4))
    named(account, contact(4), took_ms=90)
    assert shown() == levels(account) == [(2, 4), (2, 4)]


def test_a_contact_without_profile_consent_does_not_count(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(contact(0))
    with transaction.write() as tx:
        tx.execute(Identity.__table__.update().values(last_error="consent"))  # type: ignore[attr-defined]
    frozen_clock.forward(hours=2)
    assert levels(account) == [(0, 0), (0, 0)]


def test_the_allowance_is_what_may_still_be_late() -> None:
    def level(in_time: int) -> ServiceLevel:
        return ServiceLevel(timedelta(milliseconds=500), 95, 1_000, in_time)

    assert [level(each).allowance_left for each in (1_000, 980, 950, 900)] == [100, 60, 0, 0]
    assert [level(each).missed for each in (950, 949)] == [False, True]
    assert level(949).says == "94.9% of 1000 within 500 ms, target 95%"


def test_slow_names_are_found_from_20_contacts_on(account: Account) -> None:
    people_wrote(*map(contact, range(20)))
    for number in range(19):
        named(account, contact(number), took_ms=900)
    assert findings_of("slow") == []
    named(account, contact(19), took_ms=900)
    [finding] = findings_of("slow")
    assert finding.message.endswith("named in time: 0.0% of 20 within 500 ms, target 95%")


def test_a_reason_whose_share_has_doubled_is_found(account: Account, frozen_clock: FrozenClock) -> None:
    for number in range(100):
        call(account, contact(number), ago=timedelta(days=3), code="230" if number < 10 else None)
    for number in range(100):
        call(account, contact(number), code="230" if number < 19 else None)
    assert findings_of("reasons") == []
    call(account, contact(200), code="230")
    assert findings_of("reasons") == []  # 20 of 101 are less than twice 10 of 100
    for number in range(201, 211):
        call(account, contact(number), code="230")
    [finding] = findings_of("reasons")
    assert finding.message == "The reasons for missing names have changed: Profile consent 27% (before: 10%)"


def test_a_new_account_has_no_usual_mix_of_reasons(account: Account) -> None:
    for number in range(30):
        call(account, contact(number), code="230")
    assert findings_of("reasons") == []


def test_insights_shows_the_levels_and_what_is_left(app: Flask, account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(*map(contact, range(4)))
    named(account, contact(0), took_ms=90)
    page = signed_in(app).get("/insights").text
    assert "Named within 500 ms" in page
    assert "Named within 1 h" in page
    assert "target 95%" in page
