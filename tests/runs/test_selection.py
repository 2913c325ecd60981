"""Which contacts a job looks up, and which conversation pages it reads first."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.identities.listing import IdentityFilter
from app.identities.observations import FRESH, ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Source
from app.models.run import RunKind
from app.runs import selection
from app.runs.selection import MOST_RECENT, PageScan, Selection
from tests.factories import (
    ATELIER_NORD,
    ATELIER_NORD_PAGE,
    CAMILLE,
    GHOST,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    MAISON_LUNE_IGSID,
    RUI,
    an_account,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def crowd_of(account: Account, **options: object) -> list[str]:
    crowd = Selection(account.id, **{"kind": RunKind.BACKFILL} | options)  # type: ignore[arg-type]  # as each test chooses
    return [row.ig_participant_id for row in db.session.execute(selection.select_items(crowd))]


def seen(account: Account, who: str, *, ago: timedelta = timedelta()) -> None:
    sighted = ProfileObservation(who, "somebody", None, None, Source.PROFILE, clock.now() - ago)
    with transaction.write() as tx:
        observations.record(tx, account.id, sighted)


def test_a_backfill_selects_unknown_contacts_and_a_refresh_all(account: Account) -> None:
    people_wrote(LEA, CAMILLE, GHOST)
    seen(account, LEA)
    assert crowd_of(account) == [GHOST, CAMILLE]
    assert crowd_of(account, kind=RunKind.REFRESH) == [GHOST, CAMILLE, LEA]


@pytest.mark.parametrize("options", [{}, {"kind": RunKind.REFRESH}, {"matching": IdentityFilter()}])
def test_a_job_takes_the_newest_contacts_of_a_very_large_account(
    account: Account, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MOST_CONTACTS", 2)
    people_wrote(LEA, CAMILLE, GHOST)
    assert crowd_of(account, **options) == [GHOST, CAMILLE]
    crowd = Selection(account.id, **{"kind": RunKind.BACKFILL} | options)  # type: ignore[arg-type]  # as above
    assert sum(group.contacts for group in selection.count_groups(crowd) or ()) == 2


def test_placeholder_ids_and_the_account_itself_are_in_no_job(account: Account) -> None:
    people_wrote(LEA, "UNKNOWN_17", RUI)
    with transaction.write() as tx:
        tx.execute(update(Account).values(own_ids=[RUI]))  # learnt later than the conversation began
    assert crowd_of(account) == [LEA]
    assert crowd_of(account, kind=RunKind.REFRESH) == [LEA]


def test_the_account_is_not_a_contact_under_any_of_its_ids(account: Account) -> None:
    own = selection.own_ids(account.id)
    assert own == {MAISON_LUNE, MAISON_LUNE_APP_SCOPED, MAISON_LUNE_IGSID}
    assert selection.own_ids(an_account(ATELIER_NORD).id) == {ATELIER_NORD, ATELIER_NORD_PAGE}
    people_wrote(LEA, *(str(10**15 + place) for place in range(len(own))))
    with transaction.write() as tx:  # as it was before the account's ids were learnt
        for place, ig_id in enumerate(sorted(own)):
            told = update(Conversation).where(Conversation.ig_participant_id == str(10**15 + place))
            tx.execute(told.values(ig_participant_id=ig_id))
    assert crowd_of(account) == [LEA]
    assert crowd_of(account, kind=RunKind.REFRESH) == [LEA]


def test_a_backfill_of_days_is_of_those_who_wrote_since(account: Account) -> None:
    people_wrote(LEA, at=clock.now() - timedelta(days=8))
    people_wrote(CAMILLE, at=clock.now() - timedelta(days=6))
    assert crowd_of(account, days=7) == [CAMILLE]
    assert crowd_of(account, days=90) == [CAMILLE, LEA]


def test_a_backfill_of_days_is_of_the_fifty_newest_at_most(account: Account) -> None:
    many = [str(10**15 + place) for place in range(MOST_RECENT + 5)]
    people_wrote(*many)
    assert crowd_of(account, days=1) == list(reversed(many))[:MOST_RECENT]


def test_expiring_are_those_whose_name_is_seven_days_old_within_a_day(account: Account) -> None:
    people_wrote(LEA, CAMILLE, RUI)
    seen(account, LEA, ago=FRESH - timedelta(hours=23))
    seen(account, CAMILLE, ago=FRESH - timedelta(hours=25))
    assert crowd_of(account, kind=RunKind.REFRESH, expiring=True) == [LEA]


def test_contacts_with_an_expired_picture_url_are_expiring_too(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA, CAMILLE)
    for who, seconds in ((LEA, 60), (CAMILLE, 7200)):
        url = f"https://scontent.cdninstagram.com/a.jpg?oe={int(frozen_clock.now().timestamp()) + seconds:08X}"
        with transaction.write() as tx:
            observations.record(
                tx, account.id, ProfileObservation(who, "somebody", None, url, Source.PROFILE, frozen_clock.now())
            )
    frozen_clock.forward(hours=1)
    assert crowd_of(account, kind=RunKind.REFRESH, expiring=True) == [LEA]


def test_a_contact_with_a_planned_retry_is_not_expiring(account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    seen(account, LEA, ago=FRESH)
    seen(account, CAMILLE, ago=FRESH)
    with transaction.write() as tx:
        gone = LookupFailure(Reason.NOT_VISIBLE, Scope.CONTACT, "9010", "No matching Instagram user")
        observations.record_failure(tx, account.id, CAMILLE, gone, at=clock.now(), raw=None)
    assert crowd_of(account, kind=RunKind.REFRESH, expiring=True) == [LEA]


@pytest.mark.parametrize(
    ("on_pages", "worth"),
    [
        ({}, PageScan()),
        ({0: 1}, PageScan()),
        ({0: 2}, PageScan(1, 2)),
        ({0: 50, 1: 50}, PageScan(2, 100)),
        ({0: 50, 3: 1}, PageScan(1, 50)),
        ({0: 50, 3: 4}, PageScan(4, 54)),
        ({5: 6}, PageScan()),
        ({5: 7}, PageScan(6, 7)),
    ],
)
def test_pages_are_read_as_deep_as_they_save_calls(on_pages: dict[int, int], worth: PageScan) -> None:
    assert selection.worthwhile(on_pages) == worth


def test_a_page_scan_counts_pages_without_contacts_of_the_job(account: Account) -> None:
    old = [str(10**15 + place) for place in range(60)]
    people_wrote(*old, at=clock.now() - timedelta(hours=1))
    assert selection.plan_page_scan(Selection(account.id, RunKind.BACKFILL)) == PageScan(2, 60)
    for who in old[-55:]:
        seen(account, who)
    assert selection.plan_page_scan(Selection(account.id, RunKind.BACKFILL)) == PageScan(2, 5)
    assert selection.plan_page_scan(Selection(account.id, RunKind.REFRESH)) == PageScan(2, 60)
