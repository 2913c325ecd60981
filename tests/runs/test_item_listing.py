"""The contacts of a job, page by page, with their counts, names and CSV."""

import csv
import io

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.errors import Forbidden, Invalid, NotFound
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from app.models.run import ItemState, RunItem, RunKind, RunState
from app.runs import item_listing, leases, lifecycle
from app.runs.fencing import Lease
from app.runs.item_listing import ItemFilter, parse_filter
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, GHOST, LEA, RUI, SHY, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.runs import run_of, settle

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))
AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def started(account: Account, *who: str, kind: RunKind = RunKind.BACKFILL) -> tuple[str, Lease]:
    people_wrote(*who)
    run_id = lifecycle.start(OPERATOR, account.id, kind=kind)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    return run_id, lease


def named(account: Account, who: str, username: str) -> None:
    seen = ProfileObservation(who, username, None, None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)


def failed(reason: Reason, code: str = "1") -> ItemOutcome:
    return ItemOutcome(ItemState.FAILED, reason=reason, code=code, calls=1, worked_seconds=0.5)


def conversation_of(who: str) -> int:
    db.session.rollback()
    return db.session.scalars(select(Conversation.id).where(Conversation.ig_participant_id == who)).one()


def assert_counts_add_up(run_id: str) -> item_listing.ItemCounts:
    """Assert that the counts by state add up to the total, and are those of the rows that each filter lists."""
    counts = item_listing.count_items(OPERATOR, run_id)
    assert sum(counts.by_state.values()) == counts.total == run_of(run_id).total
    for state, number in counts.by_state.items():
        assert len(list(item_listing.iter_items(OPERATOR, run_id, ItemFilter(state)))) == number
    for each in counts.by_reason:
        want = ItemFilter(each.state, each.reason)
        assert len(list(item_listing.iter_items(OPERATOR, run_id, want))) == each.contacts
    return counts


def test_contacts_are_listed_in_the_order_of_their_lookups(account: Account) -> None:
    run_id, _ = started(account, LEA, CAMILLE, RUI)
    first = item_listing.list_items(OPERATOR, run_id, ItemFilter(limit=2))
    assert first.after is not None
    rest = item_listing.list_items(OPERATOR, run_id, ItemFilter(limit=2, after=first.after))
    assert [each.ig_participant_id for each in (*first.rows, *rest.rows)] == [RUI, CAMILLE, LEA]
    assert ({each.state for each in (*first.rows, *rest.rows)}, rest.after) == ({ItemState.PENDING}, None)
    assert item_listing.list_items(OPERATOR, run_id, parse_filter(state="failed")).rows == ()
    for state, reason, q in (("x", None, ""), (None, "x", ""), (None, None, "x" * 201)):
        with pytest.raises(Invalid):
            parse_filter(state=state, reason=reason, q=q)
    with pytest.raises(NotFound):
        item_listing.list_items(ELSEWHERE, run_id, ItemFilter())
    with pytest.raises(NotFound):
        item_listing.count_items(ELSEWHERE, run_id)


def test_counts_of_all_filters_always_add_up_to_the_total(account: Account) -> None:
    run_id, lease = started(account, LEA, CAMILLE, RUI, GHOST, SHY)
    assert assert_counts_add_up(run_id).by_state[ItemState.PENDING] == 5
    settle(lease, SHY, failed(Reason.CONSENT))
    settle(lease, GHOST, failed(Reason.TIMEOUT))
    settle(lease, RUI, ItemOutcome(ItemState.RESOLVED, calls=1, worked_seconds=0.25))
    settle(lease, CAMILLE, ItemOutcome(ItemState.PENDING, reason=Reason.TIMEOUT, calls=1, next_try_at=clock.now()))
    counts = assert_counts_add_up(run_id)
    assert {(each.reason, each.contacts, each.can_retry) for each in counts.by_reason} == {
        ("consent", 1, False),
        ("timeout", 1, True),
    }
    assert counts.retryable == 1
    contacts.delete_contact(OPERATOR, conversation_of(LEA))
    contacts.delete_contact(OPERATOR, conversation_of(GHOST))
    after = assert_counts_add_up(run_id)
    assert (after.by_state[ItemState.SKIPPED], after.by_state[ItemState.FAILED]) == (1, 2)


def test_a_deleted_contact_leaves_its_result_without_a_trace_of_who_it_was(account: Account) -> None:
    run_id, lease = started(account, LEA, GHOST)
    settle(lease, GHOST, failed(Reason.NOT_VISIBLE))
    for who in (LEA, GHOST):
        contacts.delete_contact(OPERATOR, conversation_of(who))
    rows = item_listing.list_items(OPERATOR, run_id, ItemFilter()).rows
    assert [(row.display.text, row.ig_participant_id, row.identity_id, row.reason) for row in rows] == [
        ("A deleted contact", None, None, "not_visible"),
        ("A deleted contact", None, None, "deleted"),
    ]
    assert LEA not in "".join(item_listing.csv_lines(OPERATOR, run_id, ItemFilter()))
    assert not leases.release(lease)
    assert run_of(run_id).state is RunState.DONE


def test_a_lookup_of_a_contact_who_is_deleted_meanwhile_changes_no_count_and_keeps_the_lease(account: Account) -> None:
    run_id, lease = started(account, LEA, GHOST)
    contacts.delete_contact(OPERATOR, conversation_of(LEA))
    settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1))
    settle(lease, GHOST, ItemOutcome(ItemState.RESOLVED, calls=1))
    run = run_of(run_id)
    assert (run.resolved, run.skipped, run.total, run.calls) == (1, 1, 2, 2)


def test_a_changed_contact_shows_the_old_and_the_new_name(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA, CAMILLE, RUI)
    named(account, LEA, "lea.before")
    named(account, CAMILLE, "camille.same")
    frozen_clock.forward(hours=1)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    frozen_clock.forward(seconds=1)
    for who, username in ((LEA, "lea.after"), (CAMILLE, "camille.same"), (RUI, "rui.new")):
        named(account, who, username)
        settle(lease, who, ItemOutcome(ItemState.RESOLVED, calls=1))
    frozen_clock.forward(hours=1)
    named(account, LEA, "lea.later")  # changed after the job, so not by it
    rows = item_listing.list_items(OPERATOR, run_id, ItemFilter()).rows
    shown = {row.ig_participant_id: (row.previous_name, row.display.text) for row in rows}
    assert shown[LEA] == ("@lea.before", "@lea.later")
    assert shown[CAMILLE] == (None, "@camille.same")


def test_a_backfill_shows_the_short_id_a_contact_had_before(account: Account) -> None:
    run_id, lease = started(account, LEA)
    named(account, LEA, "lea.moreau")
    settle(lease, LEA, ItemOutcome(ItemState.RESOLVED, calls=1, worked_seconds=0.5))
    [row] = item_listing.list_items(OPERATOR, run_id, ItemFilter()).rows
    assert (row.previous_name, row.display.text, row.calls, row.seconds) == ("@user_000011", "@lea.moreau", 1, 0.5)


@pytest.mark.parametrize(("q", "expected"), [("lea", [LEA]), ("@lea.mo", [LEA]), (CAMILLE, [CAMILLE]), ("zzz", [])])
def test_a_search_finds_contacts_of_the_job(account: Account, q: str, expected: list[str]) -> None:
    run_id, _ = started(account, LEA, CAMILLE)
    named(account, LEA, "lea.moreau")
    people_wrote(RUI)
    named(account, RUI, "lea.too")  # not in the job
    rows = item_listing.list_items(OPERATOR, run_id, parse_filter(q=q)).rows
    assert [row.ig_participant_id for row in rows] == expected


def test_a_spreadsheet_reads_no_cell_of_the_csv_as_a_formula(account: Account) -> None:
    run_id, _ = started(account, LEA)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(name="=1+1", username=None))
        tx.execute(update(Conversation).values(known=True))
        tx.execute(update(RunItem).values(state=ItemState.FAILED, reason=Reason.TIMEOUT, code="@SUM(1)"))
    whole = "".join(item_listing.csv_lines(OPERATOR, run_id, ItemFilter())).removeprefix("\ufeff")
    heads, row = csv.reader(io.StringIO(whole))
    assert tuple(heads) == item_listing.CSV_FIELDS
    assert not any(cell.startswith(("=", "@", "+", "-")) for cell in row)
    with pytest.raises(Forbidden):
        item_listing.csv_lines(AGENT, run_id, ItemFilter())
