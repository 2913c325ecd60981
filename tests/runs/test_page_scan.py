"""Page scans: which contacts they resolve, what they cost, and what happens when they fail."""

from collections import Counter
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import select

from app.db import transaction
from app.db.engine import db
from app.errors import RetryLater
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.models.run import RunKind, RunState
from app.runs import leases, lifecycle, page_cursor, page_scan, runner
from app.runs.fencing import LEASE, Lease, LeaseLostError
from app.text import is_name
from app.viewer import OPERATOR
from tests.calls.lookups import noted
from tests.factories import CAMILLE, GHOST, LEA, MAISON_LUNE, RUI, SHY, UNKNOWN_PERSON, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.runs import run_of

EVERYBODY = (LEA, CAMILLE, GHOST, SHY, UNKNOWN_PERSON, RUI)


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def everybody_wrote(meta: Sandbox, *people: str) -> None:
    """Have people write, so that Meta lists their conversations and we know of them."""
    for person in people:
        meta.post("send", person=person, text="Bonjour")
    people_wrote(*people)


def a_crowd_wrote(meta: Sandbox, number: int) -> list[str]:
    everyone = meta.get("people")
    named = [each["id"] for each in everyone if each["account"] == MAISON_LUNE and is_name(each["username"])]
    crowd = [who for who in named if who not in EVERYBODY][:number]
    assert len(crowd) == number
    everybody_wrote(meta, *crowd)
    return crowd


def started(account: Account) -> str:
    return lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)


def taken(run_id: str) -> Lease:
    lease = leases.take(run_id, who="here")
    assert lease is not None
    return lease


def identities() -> dict[str, Identity]:
    db.session.rollback()
    return {each.ig_participant_id: each for each in db.session.scalars(select(Identity))}


def test_a_page_resolves_contacts_with_a_username_and_the_others_are_looked_up_alone(
    account: Account, meta: Sandbox
) -> None:
    everybody_wrote(meta, *EVERYBODY)
    run_id = started(account)
    runner.run_slice(run_id)
    calls = Counter((row.call, row.ig_participant_id) for row in noted())
    alone = (CAMILLE, GHOST, UNKNOWN_PERSON)
    assert calls == Counter([("conversations", None), *(("profile", each) for each in alone)])
    run = run_of(run_id)
    assert (run.state, run.resolved, run.failed, run.calls) == (RunState.DONE, 4, 2, 4)
    lea = identities()[LEA]
    assert (lea.username, lea.username_source) == ("lea.moreau", Source.CONVERSATIONS)
    assert {row.run_id for row in noted()} == {run_id}


def test_a_hundred_contacts_cost_two_calls(account: Account, meta: Sandbox) -> None:
    crowd = a_crowd_wrote(meta, 100)
    run_id = started(account)
    runner.run_slice(run_id)
    assert [row.call for row in noted()] == ["conversations"] * 2
    assert all(identities()[who].username for who in crowd)
    run = run_of(run_id)
    assert (run.scanned_pages, run.scanned_contacts, run.resolved, page_cursor.load_cursor(run_id)) == (
        2,
        100,
        100,
        None,
    )


def test_a_page_scan_continues_where_the_budget_stopped_it(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    a_crowd_wrote(meta, 60)
    lease = taken(started(account))
    assert page_scan.next_page(lease, purpose=Purpose.BACKFILL) == 1
    assert run_of(lease.run_id).scanned_contacts == 50
    leases.wait(lease, until=frozen_clock.at, reason="the API call budget is used up")
    lease = taken(lease.run_id)
    assert page_scan.next_page(lease, purpose=Purpose.BACKFILL) == 1
    assert run_of(lease.run_id).scanned_contacts == 60
    assert page_scan.next_page(lease, purpose=Purpose.BACKFILL) == 0


def test_a_page_scan_without_its_cursor_starts_again_if_that_saves_calls(
    account: Account, meta: Sandbox, redis: Redis
) -> None:
    crowd = a_crowd_wrote(meta, 130)
    lease = taken(started(account))
    assert page_scan.next_page(lease, purpose=Purpose.BACKFILL) == 1
    redis.delete(f"nametag:place:{lease.run_id}")
    pages = 1
    while calls := page_scan.next_page(lease, purpose=Purpose.BACKFILL):
        pages += calls
    run = run_of(lease.run_id)
    assert (pages, run.scanned_pages, run.scan_pages) == (4, 4, 4)  # one more than planned, for eighty people
    assert run.calls == len(noted()) == 4
    assert all(identities()[who].username for who in crowd)


def test_a_page_scan_without_its_cursor_ends_if_single_lookups_are_cheaper(
    account: Account, meta: Sandbox, redis: Redis
) -> None:
    a_crowd_wrote(meta, 52)
    lease = taken(started(account))
    assert run_of(lease.run_id).scan_pages == 2
    page_scan.next_page(lease, purpose=Purpose.BACKFILL)
    redis.flushall()
    assert page_scan.next_page(lease, purpose=Purpose.BACKFILL) == 0  # two pages would name two people
    assert run_of(lease.run_id).scan_pages == 1


def test_a_contact_with_an_expired_picture_is_looked_up_alone(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    everybody_wrote(meta, LEA, RUI, CAMILLE)
    url = f"https://scontent.cdninstagram.com/a.jpg?oe={int(frozen_clock.now().timestamp()) + 60:08X}"
    with transaction.write() as tx:
        for who in (LEA, RUI, CAMILLE):
            picture = url if who == LEA else None
            observations.record(
                tx, account.id, ProfileObservation(who, who, None, picture, Source.PROFILE, frozen_clock.now())
            )
    frozen_clock.forward(hours=1)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    assert run_of(run_id).scan_contacts == 2
    runner.run_slice(run_id)
    calls = Counter((row.call, row.ig_participant_id) for row in noted())
    assert calls == Counter([("conversations", None), ("profile", CAMILLE), ("profile", LEA)])
    assert run_of(run_id).state is RunState.DONE
    assert identities()[LEA].picture_url != url


def test_neither_the_account_nor_unknown_participants_are_stored(account: Account, meta: Sandbox) -> None:
    everybody_wrote(meta, LEA, RUI)
    meta.post("send", person=SHY, text="I am listed, but nobody here has heard of me")
    runner.run_slice(started(account))
    assert set(identities()) == {LEA, RUI}


def test_a_contact_outside_the_job_is_updated_too(account: Account, meta: Sandbox) -> None:
    everybody_wrote(meta, LEA)
    runner.run_slice(started(account))
    meta.request("PATCH", f"people/{LEA}", username="lea.renamed")
    a_crowd_wrote(meta, 2)
    runner.run_slice(started(account))
    assert identities()[LEA].username == "lea.renamed"


@pytest.mark.parametrize("mode", ["500", "html", "1"])
def test_unreadable_pages_leave_all_contacts_to_single_lookups(account: Account, meta: Sandbox, mode: str) -> None:
    everybody_wrote(meta, LEA, RUI)
    meta.post("faults", mode=mode, call="conversations")
    run_id = started(account)
    runner.run_slice(run_id)
    assert run_of(run_id).state is RunState.DONE
    assert {who for who, each in identities().items() if each.username} == {LEA, RUI}


def test_a_conversation_that_meta_cannot_return_costs_the_others_of_its_page_nothing(
    account: Account, meta: Sandbox
) -> None:
    crowd = a_crowd_wrote(meta, 4)
    everybody_wrote(meta, RUI)
    crowd_after = [LEA, SHY]
    everybody_wrote(meta, *crowd_after)
    meta.request("PATCH", f"conversations/{RUI}", error="1")
    run_id = started(account)
    runner.run_slice(run_id)
    sources = {who: each.username_source for who, each in identities().items()}
    assert sources.pop(RUI) == Source.PROFILE
    assert sources == dict.fromkeys([*crowd, *crowd_after], Source.CONVERSATIONS)
    run = run_of(run_id)
    assert (run.state, run.resolved, run.scanned_contacts) == (RunState.DONE, 7, 6)
    assert [row.call for row in noted()].count("profile") == 1
    assert [row.call for row in noted()].count("conversations") == 9


def test_an_invalid_access_token_pauses_the_job_and_keeps_its_page_scan(account: Account, meta: Sandbox) -> None:
    everybody_wrote(meta, LEA, RUI)
    meta.post("faults", mode="190", call="conversations", count=1)
    lease = taken(started(account))
    with pytest.raises(RetryLater):
        page_scan.next_page(lease, purpose=Purpose.BACKFILL)
    assert run_of(lease.run_id).scanned_pages == 0


def test_a_worker_without_the_lease_settles_no_item(account: Account, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    everybody_wrote(meta, LEA, RUI)
    late = taken(started(account))
    frozen_clock.at += LEASE + timedelta(seconds=1)
    taken(late.run_id)
    with pytest.raises(LeaseLostError):
        page_scan.next_page(late, purpose=Purpose.BACKFILL)
    assert run_of(late.run_id).resolved == 0


def test_a_worker_that_crashes_during_a_page_counts_against_no_contact(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    everybody_wrote(meta, LEA, RUI)
    run_id = started(account)
    for _ in range(4):
        taken(run_id)
        frozen_clock.at += LEASE + timedelta(seconds=1)
    runner.run_slice(run_id)
    assert (run_of(run_id).resolved, run_of(run_id).failed) == (2, 0)
