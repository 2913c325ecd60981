"""What somebody chooses before a run starts."""

import pytest
from flask import Flask

from app.errors import Invalid, NotFound
from app.models.run import Kind
from app.runs import order
from app.runs.order import Order
from app.viewer import OPERATOR
from tests.cast import LEA, an_account, people_wrote


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Order(Kind.BACKFILL)),
        ({"scope": "nameless", "days": "9"}, Order(Kind.BACKFILL)),
        ({"scope": "recent"}, Order(Kind.BACKFILL, days=7)),
        ({"days": "30", "batchSize": "5"}, Order(Kind.BACKFILL, days=30, batch_size=5)),
        ({"scope": "everyone", "days": "9"}, Order(Kind.REFRESH)),
        ({"days": "many", "batchSize": "-1"}, Order(Kind.BACKFILL, days=0, batch_size=0)),
    ],
)
def test_a_form_is_read_as_what_it_asks_for(fields: dict[str, str], expected: Order) -> None:
    assert order.read(fields) == expected
    assert order.read({"scope": expected.scope, "days": str(expected.days or "")}).kind is expected.kind


def test_the_cost_is_known_before_and_refuses_what_the_start_would(app: Flask, redis_server: str) -> None:
    account = an_account()
    people_wrote(LEA)
    assert order.cost(OPERATOR, account.id, Order(Kind.BACKFILL)).people == 1
    for wrong in (Order(Kind.BACKFILL, days=0), Order(Kind.BACKFILL, batch_size=0)):
        with pytest.raises(Invalid):
            order.cost(OPERATOR, account.id, wrong)
        with pytest.raises(Invalid):
            order.start(OPERATOR, account.id, wrong)
    with pytest.raises(NotFound):
        order.start(OPERATOR, None, Order(Kind.BACKFILL))
