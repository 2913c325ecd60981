"""Reading per user: what one user reads stays unread for the others, within bounds."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from app import clock, read_state, schedules
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.inbox import listing, search, thread
from app.inbox.listing import ConversationFilter, ListPage
from app.models.account import Account
from app.models.conversation import UnreadByUser
from app.models.user import User
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    RUI,
    a_message_event,
    a_user,
    an_account,
    an_echo_event,
    deliver,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def shown(account: Account, viewer: Viewer, **wanted: object) -> ListPage:
    db.session.rollback()
    want = ConversationFilter(**wanted)  # type: ignore[arg-type]  # the fields of the filter
    return listing.page(viewer, account.id, want, ig_account_id=MAISON_LUNE)


def unread_count(account: Account, viewer: Viewer) -> int:
    db.session.rollback()
    return listing.counts(viewer, account.id).unread


def unread_ids(account: Account, viewer: Viewer, **wanted: object) -> list[int]:
    return [row.id for row in shown(account, viewer, filter="unread", **wanted).rows]


def rows() -> int:
    db.session.rollback()
    return db.session.execute(select(func.count()).select_from(UnreadByUser)).scalar_one()


def test_what_one_user_reads_stays_unread_for_the_others_and_is_read_for_the_team(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA, CAMILLE)
    thread.mark_read(nadia, 1)
    assert (unread_count(account, nadia), unread_count(account, oskar)) == (1, 2)
    assert unread_count(account, OPERATOR) == 1
    camille, lea = shown(account, oskar).rows
    assert (lea.unread_count, lea.unread_by_all, camille.unread_by_all) == (1, False, True)
    assert (unread_ids(account, nadia), unread_ids(account, oskar)) == ([2], [2, 1])
    thread.mark_read(oskar, 1)
    assert (unread_ids(account, oskar), rows()) == ([2], 0)


def test_reading_of_an_api_token_is_for_the_team_only(account: Account) -> None:
    nadia = a_user()
    people_wrote(LEA)
    thread.mark_read(OPERATOR, 1)
    assert (unread_count(account, OPERATOR), unread_count(account, nadia)) == (0, 1)


def test_only_active_users_with_access_keep_what_others_read(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    nadia = a_user("nadia")
    allowed = a_user("allowed", account_ids=[account.id])
    long_ago = clock.now() - read_state.KEPT - timedelta(minutes=1)
    a_user("elsewhere", account_ids=[other.id])
    a_user("disabled", disabled_at=clock.now())
    a_user("absent", last_sign_in_at=long_ago)
    a_user("invited", last_sign_in_at=None)
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    db.session.rollback()
    assert db.session.scalars(select(UnreadByUser.user_id)).all() == [allowed.user_id]


def test_for_a_new_user_everything_from_before_is_read(account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    thread.mark_read(a_user("nadia"), 1)
    oskar = a_user("oskar")
    assert unread_ids(account, oskar) == [2]  # nobody has read it


def test_the_divider_is_before_what_this_user_has_not_read(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA)
    thread.mark_read(oskar, 1)
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    opened = thread.open_thread(oskar, 1)
    new = [message.id for day in opened.days for run in day.runs for message in run.messages if message.first_new]
    assert (opened.unread_count, new, thread.open_thread(nadia, 1).new_from) == (1, [2], 0)


def test_marking_as_unread_affects_the_viewer_alone(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA)
    for each in (nadia, oskar):
        thread.mark_read(each, 1)
    thread.mark_unread(nadia, 1)
    assert (unread_ids(account, nadia), unread_ids(account, oskar), unread_ids(account, OPERATOR)) == ([1], [], [])


def test_users_without_access_to_an_account_lose_sight_of_its_unread_conversations(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    limited = Viewer(oskar.user_id, oskar.name, oskar.role, frozenset({account.id + 1}))
    assert unread_ids(account, limited) == []


def test_pages_of_the_unread_filter_join_both_kinds_in_order(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(*(str(10**15 + place) for place in range(90)))
    thread.mark_all_read(nadia, dict.fromkeys(range(1, 91, 2), 1))
    first = shown(account, oskar, filter="unread")
    assert ([row.id for row in first.rows], unread_count(account, oskar)) == (list(range(90, 50, -1)), 90)
    last = first.rows[-1]
    second = unread_ids(account, oskar, after=(last.last_message_at, last.id))
    assert second == list(range(50, 10, -1))
    assert unread_ids(account, nadia) == list(range(90, 10, -2))
    assert len(unread_ids(account, oskar, q="1000000000")) == 40


def test_the_queries_of_the_unread_list_read_index_ranges_only(account: Account) -> None:
    nadia = a_user()
    people_wrote(LEA)
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the tables")
    statement = listing._rows(nadia, account.id, ConversationFilter(filter="unread"), search.NOTHING_SEARCHED).limit(41)
    compiled = statement.compile(db.engine)
    parameters = tuple(compiled.construct_params()[name] for name in compiled.positiontup or ())
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters).all()
    steps = [row.detail for row in plan]
    assert any("ix_conversations_unread" in step for step in steps)
    assert any("ix_unread_by_user_account" in step for step in steps)
    assert not any("ix_conversations_newest" in step or step.startswith("SCAN conversations") for step in steps)


def wrote_three_times() -> list[datetime]:
    """Deliver three messages of a contact and return their times."""
    times = [clock.now() - timedelta(minutes=minutes) for minutes in (3, 2, 1)]
    for at in times:
        people_wrote(LEA, at=at)
    return times


def answered(at: datetime) -> None:
    """Deliver an answer of the account, a second after `at`."""
    deliver(an_echo_event(LEA, at_ms=int(at.timestamp() * 1000) + 1000))


def unread(viewer: Viewer) -> int:
    return thread.open_thread(viewer, 1).unread_count


def test_an_answer_reads_what_was_sent_before_it_for_every_user(account: Account) -> None:
    nadia, oskar, ines = a_user("nadia"), a_user("oskar"), a_user("ines")
    first, second, third = wrote_three_times()
    thread.mark_read(oskar, 1, arrivals=2)
    thread.mark_read(nadia, 1)
    answered(first)
    assert (unread(nadia), unread(oskar), unread(ines)) == (0, 1, 2)
    answered(second)
    assert (unread(oskar), unread(ines)) == (1, 1)
    answered(third)
    assert (unread(oskar), unread(ines), rows()) == (0, 0, 0)


def test_an_answer_reads_for_users_what_the_team_has_not_read_either(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    _, second, _ = wrote_three_times()
    thread.mark_read(nadia, 1, arrivals=1)
    answered(second)
    assert (unread(OPERATOR), unread(nadia), unread(oskar), rows()) == (1, 1, 1, 0)


def test_a_late_answer_leaves_unread_what_a_user_has_not_read_of_the_messages_after_it(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    now = clock.now()
    for minutes in (9, 3):
        people_wrote(LEA, at=now - timedelta(minutes=minutes))
    thread.mark_read(nadia, 1)
    people_wrote(LEA, at=now - timedelta(minutes=8))
    answered(now - timedelta(minutes=7))
    assert (unread(OPERATOR), unread(nadia), unread(oskar)) == (0, 0, 2)


def test_an_answer_ends_marks_and_an_automatic_one_does_not(account: Account) -> None:
    nadia = a_user("nadia")
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    thread.mark_unread(nadia, 1)
    deliver(an_echo_event(LEA, app_id=900000000000001))
    assert unread(nadia) == 1
    deliver(an_echo_event(LEA))
    assert (unread(nadia), rows()) == (0, 0)


def test_undo_restores_count_and_divider_of_the_viewer(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA, CAMILLE)
    people_wrote(LEA)
    before = shown(account, nadia).rows
    thread.mark_all_read(nadia, {row.id: row.arrivals for row in before})
    assert unread_ids(account, nadia) == []
    thread.mark_all_unread(nadia, {row.id: row.read_through for row in before})
    after = shown(account, nadia).rows
    assert [(row.id, row.unread_count) for row in after] == [(row.id, row.unread_count) for row in before]
    assert thread.open_thread(nadia, 1).new_from == 1
    assert unread_count(account, oskar) == 2


def test_old_rows_and_those_of_disabled_users_are_purged(account: Account, frozen_clock: FrozenClock) -> None:
    nadia, oskar, _ = a_user("nadia"), a_user("oskar"), a_user("ines")
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    with transaction.write() as tx:
        tx.execute(update(User).where(User.id == oskar.user_id).values(disabled_at=clock.now()))
    schedules.purge()
    assert rows() == 1
    frozen_clock.forward(days=29)
    schedules.purge()
    assert rows() == 1
    frozen_clock.forward(days=2)
    schedules.purge()
    assert rows() == 0


@pytest.mark.parametrize("what", ["contact", "account", "user"])
def test_rows_are_deleted_with_what_they_belong_to(account: Account, what: str) -> None:
    nadia, _ = a_user("nadia", role=Role.ADMIN), a_user("oskar")
    people_wrote(LEA)
    thread.mark_read(nadia, 1)
    assert rows() == 1
    if what == "contact":
        contacts.delete_contact(nadia, 1)
    else:
        with transaction.write() as tx:
            tx.execute(delete(Account) if what == "account" else delete(User))
    assert rows() == 0


def test_a_delivery_writes_nothing_for_single_users(account: Account) -> None:
    for number in range(3):
        a_user(f"user{number}")
    people_wrote(LEA, CAMILLE)
    deliver(a_message_event(RUI))
    assert rows() == 0


def test_a_search_for_unread_finds_what_the_filter_shows(account: Account) -> None:
    nadia, oskar = a_user("nadia"), a_user("oskar")
    people_wrote(LEA, CAMILLE)
    thread.mark_read(nadia, 1)
    for viewer, unread, others in ((nadia, [2], [1]), (oskar, [2, 1], [])):
        assert unread_ids(account, viewer) == unread_ids(account, viewer, q="is:unread") == unread
        assert [row.id for row in shown(account, viewer, q="is:unread").rows] == unread
        assert [row.id for row in shown(account, viewer, q="-is:unread").rows] == others
