"""A failed refresh of a known contact: retried, shown as stale, and never the end of automatic lookups."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update

from app import change_tokens, clock, scheduler, tasks
from app.db import transaction
from app.db.engine import db
from app.identities import observations, refresh_on_open, resolve
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH, ProfileObservation
from app.instagram.errors import Reason
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from app.models.run import Run
from app.runs import lifecycle, runner
from tests.api.clients import an_api_client
from tests.calls.lookups import noted
from tests.factories import GHOST, LEA, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.web.browsing import signed_in


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def identity(who: str = LEA) -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == who)).one()


def a_known_contact(account: Account, who: str = LEA, *, ago: timedelta = timedelta(days=1)) -> None:
    """Store a contact who wrote and was found as @mia.b that long ago."""
    people_wrote(who)
    with transaction.write() as tx:
        at = clock.now() - ago
        observations.record(tx, account.id, ProfileObservation(who, "mia.b", "Mia", None, Source.PROFILE, at))


def refresh_fails(account: Account, meta: Sandbox, fault: str | None, who: str = LEA) -> None:
    """Refresh a contact once while Meta answers every profile call with `fault`."""
    if fault:
        meta.post("faults", mode=fault)
    with transaction.write() as tx:
        observations.request_lookup(tx, account.id, who, at=clock.now())
    resolve.look_up_due(account.id)
    meta.request("DELETE", "faults")


def stop(who: str = LEA) -> None:
    """Use up the automatic lookups of a contact whose last one just failed."""
    with transaction.write() as tx:
        contact = update(Identity).where(Identity.ig_participant_id == who)
        tx.execute(contact.values(failure_count=STOP_AFTER, next_try_at=None, next_purpose=None))
        tx.execute(contact.values(last_error=Reason.NOT_VISIBLE, last_error_code="9010", last_failure_at=clock.now()))


@pytest.mark.parametrize("fault", ["2", "9010"])
def test_a_failed_refresh_of_a_fresh_contact_is_retried_at_the_planned_time(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock, fault: str
) -> None:
    a_known_contact(account)
    refresh_fails(account, meta, fault)
    row = identity()
    assert (row.username, row.last_error is not None) == ("mia.b", True)
    assert row.next_try_at is not None
    frozen_clock.at = row.next_try_at
    scheduler.kick_due()
    tasks.resolve(account.id)
    row = identity()
    assert (row.username, row.last_error, row.next_try_at) == ("lea.moreau", None, None)


@pytest.mark.parametrize("how", ["writes", "is opened", "expires"])
def test_a_stale_contact_is_looked_up_again_whatever_the_last_error(
    account: Account, frozen_clock: FrozenClock, how: str
) -> None:
    a_known_contact(account)
    stop()
    with transaction.write() as tx:
        tx.execute(update(Identity).values(failure_count=0, last_error=Reason.TEMPORARY))
    frozen_clock.forward(days=8)
    if how == "writes":
        people_wrote(LEA)
        resolve.look_up_due(account.id)
    elif how == "is opened":
        refresh_on_open.refresh(identity().id)
    else:
        lifecycle.refresh_expiring()
        [run_id] = db.session.scalars(select(Run.id)).all()
        runner.run_slice(run_id)
    assert (identity().username, identity().last_error) == ("lea.moreau", None)


def test_the_weekly_refresh_takes_in_known_contacts_whose_lookups_had_stopped(
    account: Account, frozen_clock: FrozenClock
) -> None:
    a_known_contact(account, ago=timedelta(days=6))
    stop()
    frozen_clock.forward(days=8)
    lifecycle.refresh_expiring()
    [run_id] = db.session.scalars(select(Run.id)).all()
    runner.run_slice(run_id)
    assert identity().username == "lea.moreau"


def test_opening_the_thread_of_a_failing_contact_costs_at_most_one_call_a_day(
    account: Account, frozen_clock: FrozenClock
) -> None:
    a_known_contact(account, GHOST, ago=FRESH + timedelta(days=1))
    stop(GHOST)
    refresh_on_open.refresh(identity(GHOST).id)
    assert noted() == []
    frozen_clock.forward(days=1, minutes=1)
    for _ in range(3):
        refresh_on_open.refresh(identity(GHOST).id)
    assert [row.purpose for row in noted()] == [Purpose.ASKED]


def test_a_timeout_never_ends_the_retries_of_a_contact_who_failed_often(account: Account, meta: Sandbox) -> None:
    a_known_contact(account, ago=FRESH + timedelta(days=1))
    stop()
    with transaction.write() as tx:
        tx.execute(update(Identity).values(last_failure_at=clock.now() - timedelta(days=2)))
    meta.post("faults", mode="500")
    refresh_on_open.refresh(identity().id)
    assert identity().last_error == Reason.TEMPORARY
    assert identity().next_try_at is not None


def test_a_known_contact_whose_refresh_failed_is_stale_everywhere(
    app: Flask, account: Account, meta: Sandbox, redis: Redis
) -> None:
    a_known_contact(account)
    refresh_fails(account, meta, "9010")
    api, browser = an_api_client(app), signed_in(app)
    conversation = db.session.scalars(select(Conversation.id)).one()
    [shown] = api.get("/messaging/conversations").get_json()["data"]
    assert (shown["displayName"], shown["identityState"]) == ("@mia.b", "stale")
    [listed] = api.get("/api/identities?state=stale").get_json()["data"]
    assert (listed["identityState"], listed["reason"]) == ("stale", "not_visible")
    assert api.get("/api/identities?state=known").get_json()["data"] == []
    pane = browser.get(f"/inbox/{conversation}").text
    assert "due now" in pane
    assert "Last lookup failed" in pane
    assert "Why unknown" not in pane
    page = browser.get(f"/identities/{listed['id']}").text
    assert "The last lookup failed, so this name may be out of date" in page
    assert "The stored name stays." in page
    assert "If they unblock the account" not in page
    row = browser.get("/identities?state=stale").text
    assert "Last lookup failed: " in row
    assert "mia.b" not in browser.get("/identities?state=known").text


def test_an_open_thread_shows_that_a_failed_lookup_succeeded_later(account: Account, meta: Sandbox) -> None:
    a_known_contact(account)
    refresh_fails(account, meta, "500")
    failed = change_tokens.current(account.id, LEA)
    seen = ProfileObservation(LEA, "mia.b", "Mia", None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        assert not observations.record(tx, account.id, seen)
    succeeded = change_tokens.current(account.id, LEA)
    assert succeeded != failed
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    assert change_tokens.current(account.id, LEA) == succeeded
