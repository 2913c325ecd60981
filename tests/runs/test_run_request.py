"""What a user chooses before a job starts."""

import pytest
from flask import Flask

from app.errors import Invalid, NotFound
from app.models.run import RunKind
from app.runs import run_request
from app.runs.run_request import RunRequest
from app.viewer import OPERATOR
from tests.factories import LEA, an_account, people_wrote


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, RunRequest(RunKind.BACKFILL)),
        ({"scope": "nameless", "days": "9"}, RunRequest(RunKind.BACKFILL)),
        ({"scope": "recent"}, RunRequest(RunKind.BACKFILL, days=7)),
        ({"days": "30", "batchSize": "5"}, RunRequest(RunKind.BACKFILL, days=30, batch_size=5)),
        ({"scope": "everyone", "days": "9"}, RunRequest(RunKind.REFRESH)),
        ({"days": "many", "batchSize": "-1"}, RunRequest(RunKind.BACKFILL, days=0, batch_size=0)),
    ],
)
def test_a_form_is_read_as_what_it_asks_for(fields: dict[str, str], expected: RunRequest) -> None:
    assert run_request.parse(fields) == expected
    assert run_request.parse({"scope": expected.scope, "days": str(expected.days or "")}).kind is expected.kind


def test_the_cost_is_known_before_and_refuses_what_the_start_would(app: Flask, redis_server: str) -> None:
    account = an_account()
    people_wrote(LEA)
    assert run_request.plan(OPERATOR, account.id, RunRequest(RunKind.BACKFILL)).people == 1
    for wrong in (RunRequest(RunKind.BACKFILL, days=0), RunRequest(RunKind.BACKFILL, batch_size=0)):
        with pytest.raises(Invalid):
            run_request.plan(OPERATOR, account.id, wrong)
        with pytest.raises(Invalid):
            run_request.start(OPERATOR, account.id, wrong)
    with pytest.raises(NotFound):
        run_request.start(OPERATOR, None, RunRequest(RunKind.BACKFILL))
