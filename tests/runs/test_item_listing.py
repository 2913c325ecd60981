"""The items of a job, page by page."""

import pytest
from flask import Flask

from app.errors import Invalid, NotFound
from app.models.run import ItemState, RunKind
from app.runs import item_listing, lifecycle
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, LEA, RUI, an_account, people_wrote

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def test_items_come_in_the_order_of_the_plan(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE, RUI)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    first, after = item_listing.list_items(OPERATOR, run_id, state=None, limit=2)
    assert after is not None
    rest, end = item_listing.list_items(OPERATOR, run_id, state=None, limit=2, after=after)
    assert [each.ig_participant_id for each in (*first, *rest)] == [RUI, CAMILLE, LEA]
    assert ({each.state for each in (*first, *rest)}, end) == ({ItemState.PENDING}, None)
    assert item_listing.list_items(OPERATOR, run_id, state="failed", limit=2) == ([], None)
    with pytest.raises(Invalid):
        item_listing.list_items(OPERATOR, run_id, state="x", limit=2)
    with pytest.raises(NotFound):
        item_listing.list_items(ELSEWHERE, run_id, state=None, limit=2)
