"""Receipts of deletions: in the audit log, with time, user and numbers, and without the contact."""

import pytest
from flask import Flask

from app import settings
from app.erasure import contacts, receipts
from app.errors import Forbidden, NotFound
from app.identities import resolve
from app.models.account import Account
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import LEA, MAISON_LUNE, a_sandbox_account, people_wrote
from tests.support.processes import Sandbox


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    return account


def test_a_deletion_has_a_receipt_that_names_numbers_and_no_contact(account: Account) -> None:
    receipt = receipts.get_receipt(OPERATOR, contacts.delete_identity(OPERATOR, 1))
    assert {"1 conversation", "1 message", "1 identity"} <= set(receipt.deleted)
    assert (receipt.deleted_by, receipt.account, receipt.ig_account_id) == ("command line", "maison.lune", MAISON_LUNE)
    assert receipt.contact.startswith("contact ")
    assert not any(word in str(receipt) for word in (LEA, "lea.moreau", "Moreau"))


def test_a_second_deletion_finds_nothing(account: Account) -> None:
    contacts.delete_identity(OPERATOR, 1)
    with pytest.raises(NotFound):
        contacts.delete_identity(OPERATOR, 1)


def test_a_receipt_says_that_redis_was_unavailable(account: Account) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        receipt = receipts.get_receipt(OPERATOR, contacts.delete_identity(OPERATOR, 1))
    assert receipt.deleted[-1] == receipts.UNREACHED


def test_a_receipt_is_for_admins_of_its_account(app: Flask, account: Account) -> None:
    receipt_id = contacts.delete_contact(OPERATOR, 1)
    with pytest.raises(Forbidden):
        receipts.get_receipt(Viewer(user_id=1, name="Nadia", role=Role.OPS), receipt_id)
    limited = Viewer(2, "Oskar", Role.ADMIN, frozenset({999}))
    for viewer, number in ((limited, receipt_id), (OPERATOR, 999), (OPERATOR, receipt_id - 1)):
        with pytest.raises(NotFound):
            receipts.get_receipt(viewer, number)
