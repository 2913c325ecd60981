"""The ledger of a run, page by page."""

import pytest
from flask import Flask

from app.errors import Invalid, NotFound
from app.models.run import ItemState, Kind
from app.runs import items, plan
from app.viewer import OPERATOR, Role, Viewer
from tests.cast import CAMILLE, LEA, RUI, an_account, people_wrote

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def test_items_come_in_the_order_of_the_plan(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE, RUI)
    run_id = plan.start(OPERATOR, account.id, kind=Kind.BACKFILL)
    first, after = items.page(OPERATOR, run_id, state=None, limit=2)
    assert after is not None
    rest, end = items.page(OPERATOR, run_id, state=None, limit=2, after=after)
    assert [each.ig_participant_id for each in (*first, *rest)] == [RUI, CAMILLE, LEA]
    assert ({each.state for each in (*first, *rest)}, end) == ({ItemState.TODO}, None)
    assert items.page(OPERATOR, run_id, state="failed", limit=2) == ([], None)
    with pytest.raises(Invalid):
        items.page(OPERATOR, run_id, state="x", limit=2)
    with pytest.raises(NotFound):
        items.page(ELSEWHERE, run_id, state=None, limit=2)
