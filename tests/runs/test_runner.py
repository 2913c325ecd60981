"""Whole jobs against the sandbox over HTTP: each item is settled once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from app import clock, queue, scheduler, settings
from app.accounts import connect
from app.db import transaction
from app.db.engine import db
from app.identities import cache, claims, observations, resolve
from app.identities.claims import CLAIM
from app.identities.observations import ProfileObservation
from app.identities.resolve import LookupOutcome
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.models.run import ItemState, RunItem, RunKind, RunState
from app.runs import leases, lifecycle, retries, runner
from app.viewer import OPERATOR
from tests.calls.lookups import contacts, made, noted
from tests.factories import CAMILLE, GHOST, LEA, MAISON_LUNE, RUI, SHY, UNKNOWN_PERSON, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.runs import run_of, without_page_scan

BACKFILL = f"rq:queue:{queue.TASKS[queue.BACKFILL_SLICE].queue}"
EVERYBODY = (LEA, CAMILLE, GHOST, SHY, UNKNOWN_PERSON, RUI)


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


@pytest.fixture
def run_id(account: Account) -> str:
    people_wrote(*EVERYBODY)
    return without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL, batch_size=2))


def items(run_id: str) -> dict[str, RunItem]:
    db.session.rollback()
    found = db.session.scalars(select(RunItem).where(RunItem.run_id == run_id))
    return {item.ig_participant_id: item for item in found}


def after_one_person(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    remember = resolve.cache_outcome

    def meanwhile(account_id: int, outcome: LookupOutcome) -> None:
        monkeypatch.setattr(resolve, "cache_outcome", remember)
        happens()
        remember(account_id, outcome)

    monkeypatch.setattr(resolve, "cache_outcome", meanwhile)


def test_a_backfill_settles_everyone_with_one_call_each(run_id: str) -> None:
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert run.state is RunState.DONE
    assert (run.total, run.resolved, run.failed, run.skipped, run.calls) == (6, 3, 3, 0, 6)
    assert Counter(row.ig_participant_id for row in noted()) == Counter(EVERYBODY)
    assert {row.run_id for row in noted()} == {run_id}
    assert items(run_id)[LEA].state is ItemState.RESOLVED
    assert (items(run_id)[SHY].reason, items(run_id)[SHY].code) == ("consent", "230")


def test_the_run_works_through_the_plan_newest_first(run_id: str) -> None:
    runner.run_slice(run_id)
    assert [row.ig_participant_id for row in noted()] == list(reversed(EVERYBODY))


@pytest.mark.parametrize("batch_size", [10, 100])
def test_a_slice_of_25_calls_hands_on_to_the_next(account: Account, redis: Redis, batch_size: int) -> None:
    people_wrote(*(str(10**15 + place) for place in range(40)))
    run_id = without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL, batch_size=batch_size))
    redis.flushall()
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.calls, run.lease_until) == (RunState.RUNNING, 25, None)
    assert redis.llen(BACKFILL) == 1
    runner.run_slice(run_id)
    assert (run_of(run_id).state, len(noted())) == (RunState.DONE, 40)


def test_a_slow_batch_is_cut_after_20_seconds(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic, remember, slept = clock.monotonic, resolve.cache_outcome, [0]

    def slowly(account_id: int, outcome: LookupOutcome) -> None:
        slept[0] += 21
        remember(account_id, outcome)

    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + slept[0])
    monkeypatch.setattr(resolve, "cache_outcome", slowly)
    for turns in range(1, len(EVERYBODY) + 1):
        runner.run_slice(run_id)
        assert len(noted()) == turns
    assert run_of(run_id).state is RunState.DONE


def test_a_passing_trouble_is_tried_three_times_with_growing_waits(
    run_id: str, meta: Sandbox, frozen_clock: FrozenClock, account: Account
) -> None:
    meta.request("PATCH", f"people/{LEA}", error="2")
    waits = []
    for _ in range(3):
        runner.run_slice(run_id)
        item = items(run_id)[LEA]
        if item.next_try_at:
            waits.append((item.next_try_at - frozen_clock.now()).total_seconds())
            frozen_clock.at = item.next_try_at
    assert waits == [1, 4]
    assert (item.state, item.tries, item.code) == (ItemState.FAILED, 3, "2")
    assert run_of(run_id).state is RunState.DONE


def test_a_second_try_may_succeed(run_id: str, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    meta.post("faults", mode="2", count=1)
    runner.run_slice(run_id)
    frozen_clock.forward(seconds=2)
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.DONE
    assert items(run_id)[LEA].state is ItemState.RESOLVED
    assert items(run_id)[RUI].tries == 2


@pytest.fixture
def small_budget() -> Iterator[None]:
    with settings.using(graph_calls_per_hour=10):
        yield


@pytest.mark.usefixtures("small_budget")
def test_a_used_up_budget_pauses_the_run_until_calls_come_back(
    run_id: str, account: Account, frozen_clock: FrozenClock
) -> None:
    made(account.id, 6, ago_seconds=3000, purpose=Purpose.BACKFILL)
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.calls, run.lease_until) == (RunState.WAITING, 2, None)
    assert run.resume_at is not None
    assert timedelta(minutes=9) < run.resume_at - frozen_clock.now() < timedelta(minutes=11)
    assert leases.take(run_id, who="too early") is None
    assert leases.ready(frozen_clock.now()) == []
    assert leases.ready(run.resume_at) == [(run_id, RunKind.BACKFILL)]


@pytest.mark.usefixtures("small_budget")
def test_a_paused_run_goes_on_where_it_stopped(run_id: str, account: Account, frozen_clock: FrozenClock) -> None:
    made(account.id, 6, ago_seconds=3000, purpose=Purpose.BACKFILL)
    runner.run_slice(run_id)
    frozen_clock.at = run_of(run_id).resume_at or frozen_clock.at
    with settings.using(graph_calls_per_hour=200):
        runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.calls, run.resume_at, run.reason) == (RunState.DONE, 6, None, None)
    assert Counter(row.ig_participant_id for row in noted() if row.run_id) == Counter(EVERYBODY)


def test_an_invalid_access_token_pauses_the_job_and_counts_against_no_contact(run_id: str, meta: Sandbox) -> None:
    meta.post("faults", mode="190")
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.WAITING
    assert run_of(run_id).reason
    assert {item.state for item in items(run_id).values()} == {ItemState.PENDING}


def test_contacts_who_failed_in_an_outage_are_looked_up_again_after_it(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    everyone = contacts(meta, 8)
    people_wrote(*everyone)
    run_id = without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    meta.post("faults", mode="100-33")
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.failed, run.calls) == (RunState.WAITING, 0, 4)
    assert {(item.state, item.reason) for item in items(run_id).values()} == {(ItemState.PENDING, None)}
    meta.request("DELETE", "faults")
    frozen_clock.at = run.resume_at or frozen_clock.at
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.resolved + run.fresh, run.failed) == (RunState.DONE, 8, 0)


def test_an_outage_that_another_lookup_recognizes_blames_no_contact_of_a_job(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    *planned, new = contacts(meta, 5)
    people_wrote(*planned)
    run_id = without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    meta.post("faults", mode="100-33")
    names = resolve.look_up

    def meanwhile(*asked: Any, **options: Any) -> Iterator[LookupOutcome]:
        yield from names(*asked, **options)
        monkeypatch.setattr(resolve, "look_up", names)
        people_wrote(new)
        resolve.look_up_due(account.id)

    monkeypatch.setattr(resolve, "look_up", meanwhile)
    runner.run_slice(run_id)
    assert (run_of(run_id).state, run_of(run_id).failed) == (RunState.RUNNING, 0)
    assert {item.state for item in items(run_id).values()} == {ItemState.PENDING}


def test_a_new_token_takes_the_run_on_within_ten_seconds(run_id: str, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    meta.post("faults", mode="190", call="profile", count=1)
    runner.run_slice(run_id)
    for _ in range(3):  # nothing is asked meanwhile, however often somebody looks
        frozen_clock.at = run_of(run_id).resume_at or frozen_clock.at
        runner.run_slice(run_id)
    assert len(noted()) == 1
    token = "IGAAsandboxMaisonLune0123456789"
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=token, history=False)
    frozen_clock.forward(seconds=10 - scheduler.DUTIES[scheduler.kick_runs])
    assert run_id in {each for each, _ in leases.ready(frozen_clock.now())}
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.DONE
    assert run_of(run_id).total == len(EVERYBODY)


def test_a_canceled_job_ends_after_the_present_contact(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    after_one_person(monkeypatch, lambda: lifecycle.cancel(OPERATOR, run_id))
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.CANCELED
    assert {who for who, item in items(run_id).items() if item.state is not ItemState.PENDING} == {RUI, UNKNOWN_PERSON}
    runner.run_slice(run_id)
    assert len(noted()) == 2


def test_a_contact_resolved_meanwhile_costs_no_call(run_id: str, account: Account) -> None:
    seen = ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    cache.write(MAISON_LUNE, replace(seen, ig_participant_id=RUI))
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (items(run_id)[LEA].state, items(run_id)[RUI].state) == (ItemState.FRESH, ItemState.RESOLVED)
    assert (run.fresh, run.cache_hits, run.calls) == (1, 2, 4)
    assert {row.ig_participant_id for row in noted()} == set(EVERYBODY) - {LEA, RUI}


def test_contacts_claimed_by_another_worker_come_later(
    run_id: str, account: Account, frozen_clock: FrozenClock
) -> None:
    with transaction.write() as tx:
        claims.take(tx, account.id, [LEA], now=frozen_clock.now(), until=frozen_clock.now() + CLAIM)
    runner.run_slice(run_id)
    assert items(run_id)[LEA].state is ItemState.PENDING
    assert run_of(run_id).state is RunState.RUNNING
    frozen_clock.forward(seconds=31)
    runner.run_slice(run_id)
    assert items(run_id)[LEA].state is ItemState.RESOLVED


def test_a_run_whose_worker_died_is_finished_by_another(run_id: str, frozen_clock: FrozenClock) -> None:
    assert leases.take(run_id, who="a worker that is killed now") is not None
    runner.run_slice(run_id)
    assert noted() == []
    frozen_clock.forward(seconds=31)
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.DONE
    assert len(noted()) == len(EVERYBODY)


def test_a_worker_that_stalls_is_overtaken_and_writes_nothing_more(
    run_id: str, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stall() -> None:
        frozen_clock.forward(seconds=31)
        runner.run_slice(run_id)
        assert run_of(run_id).state is RunState.DONE

    after_one_person(monkeypatch, stall)
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.resolved, run.failed, run.calls) == (RunState.DONE, 3, 3, 6)
    repeated = Counter(row.ig_participant_id for row in noted()) - Counter(EVERYBODY)
    assert repeated == {UNKNOWN_PERSON: 1}  # it was about to be asked; the second answer is nobody's
    failures = select(Identity.failure_count).where(Identity.ig_participant_id == UNKNOWN_PERSON)
    assert db.session.scalars(failures).one() == 1


def test_a_stopping_worker_ends_after_the_present_contact_and_enqueues_the_rest(
    run_id: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.flushall()
    stop = threading.Event()
    monkeypatch.setattr(queue, "stopping", stop.is_set)
    after_one_person(monkeypatch, stop.set)
    runner.run_slice(run_id)
    assert [row.ig_participant_id for row in noted()] == [RUI]
    assert (run_of(run_id).state, run_of(run_id).lease_until) == (RunState.RUNNING, None)
    assert redis.llen(BACKFILL) == 1
    stop.clear()
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.DONE
    assert Counter(row.ig_participant_id for row in noted()) == Counter(EVERYBODY)


def test_a_refresh_looks_known_contacts_up_once_per_job(account: Account, meta: Sandbox) -> None:
    people_wrote(LEA, RUI)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    meta.request("PATCH", f"people/{RUI}", username="rui.c")
    run_id = without_page_scan(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    runner.run_slice(run_id)
    assert (run_of(run_id).resolved, run_of(run_id).fresh) == (2, 0)
    again = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    assert run_of(again).total == 0


def test_the_scheduled_refresh_spends_as_such(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA)
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea", None, None, Source.PROFILE, frozen_clock.now())
        )
    frozen_clock.forward(days=7)
    lifecycle.refresh_expiring()
    [run_id] = [run_id for run_id, _ in leases.ready(frozen_clock.now())]
    runner.run_slice(run_id)
    assert [row.purpose for row in noted()] == [Purpose.DAILY]


def test_a_run_that_has_ended_is_not_begun_again(run_id: str) -> None:
    runner.run_slice(run_id)
    before = run_of(run_id).finished_at
    runner.run_slice(run_id)
    assert run_of(run_id).finished_at == before
    assert len(noted()) == len(EVERYBODY)


def test_retrying_tries_the_failed_alone(run_id: str, meta: Sandbox) -> None:
    runner.run_slice(run_id)
    for person in (GHOST, UNKNOWN_PERSON):
        meta.request("PATCH", f"people/{person}", username=f"back.{person[-3:]}", error=None)
    assert retries.retry(OPERATOR, run_id).contacts == 2  # the third has not given profile consent
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, run.resolved, run.failed, run.calls) == (RunState.DONE, 5, 1, 8)
