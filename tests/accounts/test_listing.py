"""Which accounts a user sees, and what is shown of them."""

import dataclasses

import pytest
from flask import Flask

from app import clock
from app.accounts import listing
from app.calls import budget
from app.db import transaction
from app.errors import NotFound
from app.models.call import CallRefusal
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account


def test_accounts_are_listed_by_username_without_their_token(app: Flask) -> None:
    an_account(MAISON_LUNE, token="IGAA-canary-token")
    an_account(ATELIER_NORD)
    found = listing.accounts(OPERATOR)
    assert [account.username for account in found] == ["atelier.nord", "maison.lune"]
    assert "canary" not in repr(found)
    assert "token" not in {field.name for field in dataclasses.fields(listing.ListedAccount)}


def test_what_a_viewer_may_not_see_reads_like_what_does_not_exist(app: Flask) -> None:
    ours, theirs = an_account(MAISON_LUNE), an_account(ATELIER_NORD)
    nadia = Viewer(user_id=1, name="Nadia", role=Role.AGENT, account_ids=frozenset({ours.id}))
    assert [account.id for account in listing.accounts(nadia)] == [ours.id]
    assert listing.by_ig_id(nadia, MAISON_LUNE).id == ours.id
    messages = set()
    for ig_account_id in (theirs.ig_account_id, "99999"):
        with pytest.raises(NotFound) as refused:
            listing.by_ig_id(nadia, ig_account_id)
        messages.add(str(refused.value))
    assert messages == {"No such account."}


def test_every_way_to_an_account_shows_the_calls_that_meta_refuses(app: Flask) -> None:
    account, now = an_account(MAISON_LUNE, location_id="loc-1"), clock.now()
    refusal = {"code": "200", "sentence": "No permission", "since": now, "retry_at": now, "wave": False}
    with transaction.write() as tx:
        tx.session.add(CallRefusal(account_id=account.id, call=budget.PROFILE, **refusal))
    [listed] = listing.accounts(OPERATOR)
    assert "No permission" in (listed.lookup_problem or "")
    assert listing.by_ig_id(OPERATOR, MAISON_LUNE) == listing.by_location(OPERATOR, "loc-1") == listed
