"""A contact is found by username, earlier username or ID; a name of several contacts is refused."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.errors import Conflict, NotFound
from app.identities import contact_reference, listing, observations
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.identity import Source
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, CAMILLE, LEA, an_account, people_wrote


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    named(account, LEA, "lea.old", minutes=1)
    named(account, LEA, "lea.moreau", minutes=2)
    return account


def named(account: Account, contact: str, username: str, *, minutes: int = 3) -> None:
    at = clock.now() + timedelta(minutes=minutes)
    with transaction.write() as tx:
        found = ProfileObservation(
            contact, username=username, name=None, picture_url=None, source=Source.PROFILE, at=at
        )
        assert observations.record(tx, account.id, found)


@pytest.mark.parametrize("reference", ["@lea.moreau", "LEA.Moreau", " lea.old ", "@lea.old", LEA])
def test_a_contact_is_found_by_username_earlier_username_or_id(account: Account, reference: str) -> None:
    assert contact_reference.by_reference(OPERATOR, reference).ig_participant_id == LEA


@pytest.mark.parametrize("reference", ["lea", "@", "", "@somebody", LEA[:-1], "%"])
def test_part_of_a_name_finds_no_contact(account: Account, reference: str) -> None:
    with pytest.raises(NotFound):
        contact_reference.by_reference(OPERATOR, reference)


def test_a_username_that_passed_to_another_contact_is_refused_with_both_ids(account: Account) -> None:
    named(account, CAMILLE, "lea.old")
    with pytest.raises(Conflict, match=f"(?s){LEA}.*{CAMILLE}"):
        contact_reference.by_reference(OPERATOR, "@lea.old")


def test_the_account_decides_between_equal_usernames(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    named(other, CAMILLE, "lea.moreau")
    with pytest.raises(Conflict):
        contact_reference.by_reference(OPERATOR, "lea.moreau")
    assert contact_reference.by_reference(OPERATOR, "lea.moreau", other.id).ig_participant_id == CAMILLE
    limited = Viewer(1, "Nadia", Role.ADMIN, frozenset({account.id}))
    assert contact_reference.by_reference(limited, "lea.moreau").ig_participant_id == LEA


def test_the_list_finds_a_contact_by_an_earlier_username(account: Account) -> None:
    found = listing.page(OPERATOR, listing.parse_filter(q="@lea.old")).rows
    assert [each.ig_participant_id for each in found] == [LEA]
