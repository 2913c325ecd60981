"""Call refusals: a state of the account that is shown to users, affects no contact and ends automatically."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import change_tokens, doctor, scheduler
from app.calls import budget, refusals
from app.calls.call_log import Call
from app.calls.refusals import WAVE, WAVE_ENDS
from app.db.engine import db
from app.findings import Level
from app.identities import resolve
from app.instagram.errors import Reason
from app.models.account import Account, AccountState
from app.models.call import CallRefusal, Purpose
from app.models.identity import Identity
from app.viewer import OPERATOR
from tests.api.clients import an_api_client
from tests.calls.lookups import contacts, noted
from tests.factories import (
    ATELIER_NORD,
    LEA,
    MAISON_LUNE,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook
from tests.web.browsing import signed_in


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def identities() -> list[Identity]:
    db.session.rollback()
    return list(db.session.scalars(select(Identity).order_by(Identity.id)))


def refusal() -> CallRefusal:
    db.session.rollback()
    return db.session.scalars(select(CallRefusal)).one()


def work_until_the_refusal_ends(account: Account, frozen_clock: FrozenClock) -> None:
    """Advance the clock probe by probe and look up every due contact."""
    for _ in range(30):
        frozen_clock.at = max(frozen_clock.at, refusal().retry_at) + timedelta(minutes=1)
        scheduler.kick_due()
        resolve.look_up_due(account.id)


@pytest.mark.parametrize("fault", ["200", "3", "10", "100-method"])
def test_a_refusal_for_every_contact_is_no_failure_of_a_contact_and_ends(
    account: Account, meta: Sandbox, redis: Redis, frozen_clock: FrozenClock, fault: str
) -> None:
    everyone = contacts(meta, 6)
    meta.post("faults", mode=fault)
    people_wrote(*everyone)
    resolve.look_up_due(account.id)
    redis.flushall()
    resolve.look_up_due(account.id)
    assert len(noted()) == 1
    assert {(row.failure_count, row.last_error, row.next_try_at is None) for row in identities()} == {(0, None, False)}
    for _ in range(8):  # hours pass
        frozen_clock.forward(hours=1, minutes=1)
        resolve.look_up_due(account.id)
    assert len(noted()) == 9
    assert {(row.failure_count, row.last_error, row.next_try_at is None) for row in identities()} == {(0, None, False)}
    meta.request("DELETE", "faults")
    work_until_the_refusal_ends(account, frozen_clock)
    assert all(row.username for row in identities())
    assert refusal().ended_at is not None


def test_a_refusal_is_shown_on_every_page_that_shows_the_account_and_its_end_too(
    app: Flask, account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    browser, api = signed_in(app), an_api_client(app)
    meta.post("faults", mode="200")
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    page = browser.get("/accounts").text
    assert "Names can&#39;t be looked up since" in page
    assert "Check App Review in Meta&#39;s App Dashboard" in page
    assert "Healthy" not in page
    [listed] = api.get("/api/accounts").get_json()["data"]
    assert listed["lookupProblem"].startswith("Names can't be looked up since")
    found = [each for each in doctor.examine(OPERATOR) if each.check == f"account {MAISON_LUNE}"]
    assert [(each.level, each.message) for each in found] == [(Level.ERROR, listed["lookupProblem"])]
    meta.request("DELETE", "faults")
    work_until_the_refusal_ends(account, frozen_clock)
    page = browser.get("/accounts").text
    assert "Names can be looked up again since" in page
    [listed] = api.get("/api/accounts").get_json()["data"]
    assert listed["lookupProblem"] is None
    [finding] = [each for each in doctor.examine(OPERATOR) if each.check == f"account {MAISON_LUNE}"]
    assert (finding.level, "Names can be looked up again since" in finding.message) == (Level.OK, True)


@pytest.mark.parametrize("fault", ["3", "200"])
def test_a_refusal_of_one_account_stops_no_other(account: Account, meta: Sandbox, fault: str) -> None:
    other = a_sandbox_account(ATELIER_NORD)
    meta.post("faults", mode=fault, account=MAISON_LUNE)
    people_wrote(LEA)
    [theirs] = contacts(meta, 1, ATELIER_NORD)
    body = a_delivery(a_message_event(theirs, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    receive_webhook(body)
    resolve.look_up_due(account.id)
    resolve.look_up_due(other.id)
    named = {row.ig_participant_id: row.username for row in identities()}
    assert (named[LEA], named[theirs] is not None) == (None, True)


def test_six_contacts_without_a_profile_are_not_a_refusal_of_the_account(account: Account, meta: Sandbox) -> None:
    everyone = contacts(meta, 7)
    for who in everyone[:6]:
        meta.request("PATCH", f"people/{who}", error="100-2018218")
    people_wrote(*everyone[:6])
    resolve.look_up_due(account.id)
    assert {(row.last_error, row.failure_count) for row in identities()} == {(Reason.NOT_VISIBLE, 1)}
    people_wrote(everyone[6])
    resolve.look_up_due(account.id)
    assert identities()[6].username
    assert db.session.scalars(select(CallRefusal)).all() == []


def test_failures_of_an_outage_are_withdrawn_and_lookups_resume_automatically(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    everyone = contacts(meta, 10)
    meta.post("faults", mode="100-33")
    people_wrote(*everyone)
    resolve.look_up_due(account.id)
    assert len(noted()) == WAVE
    assert {row.failure_count for row in identities()} == {0}
    assert Reason.NOT_VISIBLE not in {row.last_error for row in identities()}
    assert "most likely an outage" in refusal().sentence
    for _ in range(5):
        frozen_clock.forward(hours=1, minutes=1)
        resolve.look_up_due(account.id)
    assert {row.failure_count for row in identities()} == {0}
    meta.request("DELETE", "faults")
    work_until_the_refusal_ends(account, frozen_clock)
    assert all(row.username for row in identities())
    account_row = db.session.scalars(select(Account)).one()
    assert account_row.state is AccountState.CONNECTED


def test_contacts_that_were_deleted_are_not_an_outage_the_second_time(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    everyone = contacts(meta, 6)
    for who in everyone[:5]:
        meta.request("PATCH", f"people/{who}", error="100-33")
    people_wrote(*everyone[:5])
    resolve.look_up_due(account.id)
    assert refusal().ended_at is None
    frozen_clock.at = refusal().retry_at
    people_wrote(everyone[5])
    resolve.look_up_due(account.id)
    frozen_clock.forward(minutes=20)
    work_until_the_refusal_ends(account, frozen_clock)
    rows = identities()
    assert rows[5].username
    assert refusal().ended_at is not None
    assert {row.last_error for row in rows[:5]} == {Reason.NOT_VISIBLE}


def test_an_error_that_lasts_a_day_counts_for_each_contact(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    meta.post("faults", mode="100-33")
    people_wrote(*contacts(meta, 5))
    resolve.look_up_due(account.id)
    frozen_clock.forward(seconds=WAVE_ENDS.total_seconds() + 60)
    resolve.look_up_due(account.id)
    assert refusal().ended_at is not None
    assert {row.last_error for row in identities()} >= {Reason.NOT_VISIBLE}


def test_the_end_of_a_refusal_is_reported_once(account: Account, meta: Sandbox) -> None:
    meta.post("faults", mode="200")
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    call = Call(account.id, budget.PROFILE, Purpose.LIVE, LEA)
    version = change_tokens.current(account.id)
    refusals.record_success(call)
    ended_at = refusal().ended_at
    assert (ended_at is not None, change_tokens.current(account.id) != version) == (True, True)
    version = change_tokens.current(account.id)
    refusals.record_success(call)  # as another process that had probed at the same time
    assert (refusal().ended_at, change_tokens.current(account.id)) == (ended_at, version)
