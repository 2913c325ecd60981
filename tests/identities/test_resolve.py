"""Lookups against the sandbox over HTTP: the order of sources, and the causes of failures."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update

from app import clock, queue, settings
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import RetryLater
from app.identities import cache, claims, observations, resolve
from app.identities.claims import CLAIM
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH, ProfileObservation
from app.identities.resolve import Batch, LookupOutcome
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from tests.calls.lookups import made, noted
from tests.factories import CAMILLE, GHOST, LEA, MAISON_LUNE, SHY, UNKNOWN_PERSON, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

LIVE = Purpose.LIVE
APP = Path(__file__).parents[2] / "app"


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def asked(account: Account, *people: str, purpose: Purpose = LIVE) -> list[LookupOutcome]:
    return list(resolve.look_up(account.id, people, purpose=purpose, fresh_since=clock.now() - FRESH))


def seen(who: str = LEA, **fields: object) -> ProfileObservation:
    known: dict[str, object] = {"username": "lea.moreau", "name": None, "picture_url": None}
    return ProfileObservation(who, **(known | {"source": Source.PROFILE, "at": clock.now()} | fields))  # type: ignore[arg-type]  # columns by name


def identity(who: str = LEA) -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == who)).one()


def test_a_profile_call_brings_username_name_and_picture(account: Account) -> None:
    [outcome] = asked(account, LEA)
    assert outcome.observation is not None
    assert (outcome.observation.username, outcome.observation.name) == ("lea.moreau", "Léa Moreau")
    assert outcome.observation.picture_url
    assert (outcome.calls, outcome.fresh) == (1, False)


def test_nothing_is_written_by_asking(account: Account) -> None:
    asked(account, LEA)
    assert db.session.scalars(select(Identity)).all() == []


def test_a_fresh_row_costs_no_call(account: Account) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, seen())
    [outcome] = asked(account, LEA)
    assert outcome.fresh
    assert noted() == []


def test_a_stale_row_is_looked_up_again(account: Account) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, seen(at=clock.now() - FRESH - timedelta(hours=1)))
    [outcome] = asked(account, LEA)
    assert outcome.calls == 1


def test_redis_is_cheaper_than_a_call(account: Account) -> None:
    cache.write(MAISON_LUNE, seen())
    [outcome] = asked(account, LEA)
    assert outcome.observation is not None
    assert (outcome.observation.source, outcome.observation.username, outcome.calls) == (Source.REDIS, "lea.moreau", 0)


@pytest.mark.parametrize(
    ("who", "reason", "code"),
    [
        (GHOST, Reason.NOT_VISIBLE, "9010"),
        (SHY, Reason.CONSENT, "230"),
        (UNKNOWN_PERSON, Reason.NO_NAME, "empty"),
    ],
)
def test_a_failure_of_one_contact_does_not_stop_the_next_lookup(
    account: Account, who: str, reason: Reason, code: str
) -> None:
    failed, found = asked(account, who, CAMILLE)
    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.scope, failed.failure.code) == (reason, Scope.CONTACT, code)
    assert found.observation is not None
    assert found.observation.name == "Camille Roux"


@pytest.mark.parametrize("fault", ["190", "4", "10"])
def test_a_failure_of_account_or_app_ends_the_lookups_and_counts_against_no_contact(
    account: Account, meta: Sandbox, fault: str
) -> None:
    people_wrote(LEA)
    meta.post("faults", mode=fault)
    with pytest.raises(RetryLater):
        asked(account, LEA)
    resolve.look_up_due(account.id)
    assert (identity().failure_count, identity().last_error, identity().claimed_until) == (0, None, None)


def test_without_redis_no_call_is_made(account: Account) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"), pytest.raises(RetryLater):
        asked(account, LEA)
    assert noted() == []


def test_the_reserve_is_for_contacts_who_are_writing_now(account: Account, redis: Redis) -> None:
    with settings.using(graph_calls_per_hour=10):
        made(account.id, 8, purpose=Purpose.BACKFILL)
        with pytest.raises(RetryLater):
            asked(account, LEA, purpose=Purpose.BACKFILL)
        assert asked(account, LEA)[0].observation is not None


def test_who_waits_gets_a_name_in_row_list_and_cache(account: Account) -> None:
    people_wrote(LEA, GHOST)
    resolve.look_up_due(account.id)
    assert (identity().username, identity().next_try_at) == ("lea.moreau", None)
    assert (identity(GHOST).failure_count, identity(GHOST).last_error) == (1, Reason.NOT_VISIBLE)
    known = select(Conversation.known).where(Conversation.ig_participant_id == LEA)
    assert db.session.scalars(known).one()
    assert cache.read(MAISON_LUNE, [LEA, GHOST]).keys() == {LEA}
    assert resolve.accounts_due(clock.now(), live=True) == []


def test_a_contact_who_is_writing_now_goes_before_contacts_who_waited_longer(
    account: Account, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA)
    people_wrote(CAMILLE, at=frozen_clock.now() - timedelta(days=1))
    frozen_clock.forward(minutes=61)
    resolve.look_up_due(account.id)
    asked_for = [(row.ig_participant_id, row.purpose) for row in noted()]
    assert asked_for == [(LEA, Purpose.LIVE), (CAMILLE, Purpose.BACKFILL)]


def test_a_used_up_budget_postpones_lookups_until_calls_free_up(account: Account) -> None:
    people_wrote(LEA)
    with settings.using(graph_calls_per_hour=5):
        made(account.id, 5, ago_seconds=3000, purpose=LIVE)
        resolve.look_up_due(account.id)
    row = identity()
    assert row.username is None
    assert row.claimed_until is None
    assert row.next_try_at is not None
    assert timedelta(seconds=550) < row.next_try_at - clock.now() < timedelta(seconds=650)


def test_five_failures_stop_the_retries_until_the_contact_writes_again(
    account: Account, frozen_clock: FrozenClock
) -> None:
    people_wrote(GHOST)
    for failures in range(1, STOP_AFTER + 1):
        resolve.look_up_due(account.id)
        assert identity(GHOST).failure_count == failures
        frozen_clock.forward(hours=15)
    assert identity(GHOST).next_try_at is None
    people_wrote(GHOST)
    assert resolve.accounts_due(frozen_clock.now(), live=True) == [account.id]


def test_who_has_not_consented_waits_for_the_next_message(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    people_wrote(SHY)
    resolve.look_up_due(account.id)
    assert (identity(SHY).last_error, identity(SHY).next_try_at) == (Reason.CONSENT, None)
    frozen_clock.forward(days=30)
    assert (
        resolve.accounts_due(frozen_clock.now(), live=True)
        == resolve.accounts_due(frozen_clock.now(), live=False)
        == []
    )
    meta.request("PATCH", f"people/{SHY}", error=None)
    people_wrote(SHY)
    resolve.look_up_due(account.id)
    assert identity(SHY).username == "shy.person"


@pytest.mark.parametrize("fault", ["500", "reset", "2"])
def test_trouble_on_the_way_is_tried_again_and_never_counted(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock, fault: str
) -> None:
    people_wrote(LEA)
    meta.post("faults", mode=fault, count=1)
    resolve.look_up_due(account.id)
    row = identity()
    assert (row.failure_count, row.username) == (0, None)
    assert row.next_try_at is not None
    frozen_clock.at = row.next_try_at
    resolve.look_up_due(account.id)
    assert identity().username == "lea.moreau"


def test_a_stopping_worker_ends_after_the_present_contact(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    people_wrote(CAMILLE, LEA)
    stop = threading.Event()
    monkeypatch.setattr(queue, "stopping", stop.is_set)
    remember = resolve.cache_outcome

    def asked_to_stop(account_id: int, outcome: LookupOutcome) -> None:
        stop.set()
        remember(account_id, outcome)

    monkeypatch.setattr(resolve, "cache_outcome", asked_to_stop)
    resolve.look_up_due(account.id)
    assert len(noted()) == 1
    monkeypatch.undo()
    resolve.look_up_due(account.id)
    assert {row.ig_participant_id for row in noted()} == {CAMILLE, LEA}
    assert len(noted()) == 2


def test_two_workers_look_a_contact_up_once(account: Account) -> None:
    people_wrote(LEA)
    with transaction.write() as tx:
        now = clock.now()
        assert claims.take(tx, account.id, [LEA], now=now, until=now + CLAIM) == {LEA}
    resolve.look_up_due(account.id)
    assert noted() == []


def test_a_requested_contact_is_looked_up_once_even_if_fresh(account: Account) -> None:
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    with transaction.write() as tx:
        observations.request_lookup(tx, account.id, LEA, at=clock.now(), first=False)
    resolve.look_up_due(account.id)
    assert [row.purpose for row in noted()] == [LIVE, Purpose.REFRESH]
    assert identity().next_try_at is None


def test_a_contact_who_became_fresh_while_waiting_costs_no_call(account: Account) -> None:
    people_wrote(LEA)
    with transaction.write() as tx:
        observations.record(tx, account.id, seen())
        tx.execute(update(Identity).values(next_try_at=clock.now(), next_purpose=LIVE))
    resolve.look_up_due(account.id)
    assert (noted(), identity().next_try_at, identity().claimed_until) == ([], None, None)


def test_a_worker_with_an_expired_claim_stores_no_failure_and_releases_no_contact(
    account: Account, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_wrote(GHOST)
    ask = gateway.profile

    def stalled(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(gateway, "profile", ask)
        frozen_clock.forward(seconds=31)
        with transaction.write() as tx:  # another worker takes the person over
            claims.take(tx, account.id, [GHOST], now=frozen_clock.now(), until=frozen_clock.now() + CLAIM)
        return ask(*arguments, **options)

    monkeypatch.setattr(gateway, "profile", stalled)
    resolve.look_up_due(account.id)
    assert (identity(GHOST).failure_count, identity(GHOST).claimed_until) == (0, frozen_clock.now() + CLAIM)


def test_the_claim_of_a_killed_worker_lapses(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA)
    with transaction.write() as tx:
        claims.take(tx, account.id, [LEA], now=frozen_clock.now(), until=frozen_clock.now() + CLAIM)
    frozen_clock.forward(seconds=31)
    resolve.look_up_due(account.id)
    assert identity().username == "lea.moreau"


def test_a_redis_that_loses_the_cache_costs_a_call_and_no_name(account: Account, redis: Redis, app: Flask) -> None:
    asked(account, LEA)
    redis.flushall()
    assert asked(account, LEA)[0].observation is not None
    assert len(noted()) == 2


def test_a_refused_call_keeps_its_answer_without_secrets_and_traces(account: Account) -> None:
    people_wrote(SHY)
    resolve.look_up_due(account.id)
    kept = identity(SHY).raw_answer
    assert kept is not None
    assert kept["error"]["code"] == 230
    assert "trace" not in str(kept)


def test_a_batch_that_stops_early_keeps_no_claim_of_the_rest(account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    batch = claimed(account, LEA, CAMILLE)
    joined: list[str] = []
    first = next(resolve.resolve_batch(batch, lambda _tx, outcome, _seconds: joined.append(outcome.ig_participant_id)))
    assert (first.ig_participant_id, joined, list(batch.left)) == (LEA, [LEA], [CAMILLE])
    resolve.release_rest(batch)
    assert (identity(LEA).username, identity(CAMILLE).claimed_until) == ("lea.moreau", None)


def test_an_outcome_that_the_caller_cannot_store_is_not_kept(account: Account) -> None:
    people_wrote(LEA)
    batch = claimed(account, LEA)

    def refuse(tx: transaction.Tx, outcome: LookupOutcome, seconds: float) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        next(resolve.resolve_batch(batch, refuse))
    assert (identity().username, identity().claimed_until, list(batch.left)) == (None, batch.claim, [LEA])
    assert cache.read(MAISON_LUNE, [LEA]) == {}


def test_only_one_loop_looks_contacts_up() -> None:
    loops = ("look_up", "store_outcome", "cache_outcome")
    elsewhere = [
        path.name for path in APP.rglob("*.py") if any(f"resolve.{name}(" in path.read_text() for name in loops)
    ]
    assert elsewhere == []


def claimed(account: Account, *people: str) -> Batch:
    until = clock.now() + CLAIM
    with transaction.write() as tx:
        claims.take(tx, account.id, people, now=clock.now(), until=until)
    return Batch(account.id, dict.fromkeys(people), until, LIVE, clock.now() - FRESH)
