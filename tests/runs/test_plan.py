"""The plan of a job: who can be named, who stays unknown and why, and what it costs."""

from datetime import datetime

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import listing, observations
from app.identities.failure_policy import STOP_AFTER, LookupFailure
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Source
from app.models.run import Run, RunKind, RunPlan
from app.runs import lifecycle, plan, runner, selection
from app.runs.plan import Certainty
from app.runs.selection import Selection
from app.viewer import OPERATOR, Role, Viewer
from tests.calls.lookups import made
from tests.factories import a_sandbox_account, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.runs import run_of

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def contacts(number: int, *, first: int = 0) -> list[str]:
    return [str(10**15 + first + place) for place in range(number)]


@pytest.fixture
def account(app: Flask, redis: Redis) -> Account:
    return an_account()


def named(account: Account, *who: str) -> None:
    with transaction.write() as tx:
        for each in who:
            seen = ProfileObservation(each, f"name.{each[-5:]}", None, None, Source.PROFILE, clock.now())
            observations.record(tx, account.id, seen)


def failed(account: Account, reason: Reason, *who: str, times: int = 1) -> None:
    failure = LookupFailure(reason, Scope.CONTACT, "1", "sentence")
    with transaction.write() as tx:
        for each in who:
            for _ in range(times):
                observations.record_failure(tx, account.id, each, failure, at=clock.now(), raw=None)


def planned(account: Account, kind: RunKind = RunKind.BACKFILL) -> plan.Plan:
    db.session.rollback()
    return plan.get_plan(OPERATOR, Selection(account.id, kind))


def text_of(found: plan.Plan) -> str:
    return plan.as_text(found, lambda _: "14:06")


def test_contacts_whose_reasons_are_known_are_planned_exactly(account: Account) -> None:
    people = contacts(6)
    people_wrote(*people)
    failed(account, Reason.CONSENT, *people[:3])
    failed(account, Reason.NOT_VISIBLE, people[3])
    failed(account, Reason.NO_NAME, people[4], times=STOP_AFTER)
    named(account, people[5])
    found = planned(account)
    assert (found.certainty, found.contacts, found.nameable) == (Certainty.EXACT, 5, 0)
    assert found.stays_unknown == (("consent", 3), ("no_name", 1), ("not_visible", 1))
    assert (found.people, found.calls, found.in_vain) == (1, 1, True)  # only the fourth would be looked up
    assert text_of(found) == (
        "No unknown contact can be named now, 5 will stay unknown: 3 profile consent, 1 empty answer, 1 not visible; "
        "done by 14:06 with 1 call."
    )


def test_contacts_never_looked_up_are_named_as_often_as_earlier_ones(account: Account) -> None:
    earlier, new = contacts(40), contacts(20, first=100)
    people_wrote(*earlier)
    people_wrote(*new)
    named(account, *earlier[:30])
    failed(account, Reason.CONSENT, *earlier[30:])
    found = planned(account)
    assert (found.certainty, found.contacts, found.nameable) == (Certainty.ESTIMATED, 30, 15)
    assert found.stays_unknown == (("consent", 10), ("never_tried", 5))
    assert (found.nameable or 0) + found.staying == found.contacts
    assert text_of(found).startswith("About 15 can be named, 15 will probably stay unknown: 10 profile consent, 5 not")


def test_a_new_account_has_no_share_yet(account: Account) -> None:
    people_wrote(*contacts(3))
    found = planned(account)
    assert (found.certainty, found.nameable, found.untried, found.in_vain) == (Certainty.UNKNOWN, None, 3, False)
    assert text_of(found).startswith("3 have not been looked up yet and may get a name; done")


def test_an_account_without_unknown_contacts_says_so(account: Account) -> None:
    assert text_of(planned(account)) == "No unknown contacts."
    people_wrote(*contacts(2))
    named(account, *contacts(2))
    assert text_of(planned(account)) == "No unknown contacts."
    refresh = planned(account, RunKind.REFRESH)
    assert (refresh.known, refresh.contacts, refresh.in_vain) == (2, 2, False)
    assert text_of(refresh).startswith("2 known contacts are looked up again; done by")


def test_a_used_up_budget_shows_the_first_time(account: Account) -> None:
    made(account.id, 160, ago_seconds=1800, purpose=Purpose.BACKFILL)
    people_wrote(*contacts(3))
    found = planned(account)
    assert found.starts_at is not None
    assert found.starts_at > clock.now()
    assert "used up until 14:06" in text_of(found)


def test_another_active_job_is_named(account: Account) -> None:
    people_wrote(*contacts(1))
    assert planned(account).active_run is None
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lifecycle.pause(OPERATOR, run_id)
    assert planned(account).active_run == run_id
    assert planned(account, RunKind.REFRESH).active_run is None


def test_an_account_without_access_has_no_plan(account: Account) -> None:
    with pytest.raises(NotFound):
        plan.get_plan(ELSEWHERE, Selection(account.id, RunKind.BACKFILL))


def test_a_plan_of_very_many_contacts_is_counted_by_the_scheduler(
    account: Account, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = contacts(4)
    people_wrote(*people)
    failed(account, Reason.CONSENT, *people[:2])
    exact = planned(account)
    monkeypatch.setattr(plan, "MOST_COUNTED", 3)
    waiting = planned(account)
    assert (waiting.certainty, waiting.is_counted_later, waiting.in_vain) == (Certainty.NOT_COUNTED, True, False)
    assert "counted in the background" in text_of(waiting)
    plan.count_large()
    stored = planned(account)
    assert (stored.contacts, stored.stays_unknown, stored.calls) == (exact.contacts, exact.stays_unknown, exact.calls)
    assert stored.counted_at == frozen_clock.at
    assert "Counted at" in text_of(stored)


def test_a_plan_says_that_a_job_does_not_take_all_contacts_of_a_very_large_account(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_wrote(*contacts(4))
    assert "A job takes" not in text_of(planned(account))
    monkeypatch.setattr(selection, "MOST_CONTACTS", 3)
    assert "A job takes the newest 3 contacts." in text_of(planned(account))


def test_stored_counts_are_renewed_after_ten_minutes_and_after_a_job(
    account: Account, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted_at() -> datetime:
        plan.count_large()
        db.session.rollback()
        found = select(RunPlan.counted_at).where(RunPlan.kind == RunKind.BACKFILL)
        return db.session.execute(found).scalar_one()

    monkeypatch.setattr(plan, "MOST_COUNTED", 1)
    people_wrote(*contacts(3))
    first = counted_at()
    frozen_clock.forward(minutes=9)
    assert counted_at() == first
    frozen_clock.forward(minutes=2)
    second = counted_at()
    assert second > first
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    frozen_clock.forward(seconds=5)
    assert counted_at() == second
    lifecycle.cancel(OPERATOR, run_id)
    frozen_clock.forward(seconds=5)
    assert counted_at() > second


def test_a_mixed_crowd_is_named_as_planned(meta: Sandbox) -> None:
    """Of generated contacts with all the awkward cases, as many are named as the plan says, within 5%."""
    account = a_sandbox_account()
    meta.request("PATCH", "settings", calls_per_hour=10_000)
    everyone = [each["id"] for each in meta.get("people") if each["account"] == account.ig_account_id][:160]
    with settings.using(graph_calls_per_hour=10_000):
        people_wrote(*everyone[::2])
        _work_off(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
        people_wrote(*everyone[1::2])
        found = planned(account)
        assert found.certainty is Certainty.ESTIMATED
        assert found.nameable is not None
        run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
        _work_off(run_id)
    assert run_of(run_id).resolved == pytest.approx(found.nameable, rel=0.05)


def _work_off(run_id: str) -> None:
    while run_of(run_id).finished_at is None:
        with transaction.write() as tx:  # no wait for the budget of an hour, nor between retries
            tx.execute(update(Run).where(Run.id == run_id).values(resume_at=None))
        runner.run_slice(run_id)


def test_the_counts_of_a_plan_are_those_of_the_lists_it_links_to(account: Account) -> None:
    people = contacts(8)
    people_wrote(*people)
    failed(account, Reason.CONSENT, *people[:3])
    failed(account, Reason.NOT_VISIBLE, *people[3:5])
    linked = {}
    for phrase in plan.phrases(planned(account), lambda at: f"{at:%H:%M}"):
        if phrase.filters and phrase.filters.get("reason") in (Reason.CONSENT, Reason.NOT_VISIBLE):
            want = listing.parse_filter(account_id=account.id, state="unknown", reason=phrase.filters["reason"])
            linked[phrase.text] = len(listing.page(OPERATOR, want).rows)
    assert linked == {"3 profile consent": 3, "2 not visible": 2}
