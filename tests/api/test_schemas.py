"""Request models of the API."""

import pytest
from flask import Flask
from pydantic import ValidationError

from app.api.schemas import BackfillRequest, ConversationsQuery, IdentitiesQuery
from tests.api.clients import an_api_client, problem
from tests.factories import LEA, an_account, people_wrote

NAMING = [
    *("GET /messaging/conversations?q=%00", "GET /messaging/conversations?accountId=%00"),
    *("GET /messaging/conversations?status=%00", "GET /messaging/conversations/%00"),
    *("GET /api/identities?q=%00", "GET /api/identities?accountId=%00", "GET /api/identities/%00"),
    *("GET /api/jobs/%00", "GET /api/jobs/%00/items", "POST /api/jobs/%00/cancel", "POST /api/jobs/%00/retry"),
    "POST /api/social/instagram/inbox/refresh-identities?locationId=%00",
    "POST /api/social/instagram/messages/backfill?locationId=%00",
]


def test_what_nobody_asked_for_is_refused() -> None:
    assert BackfillRequest(accountId="178").batchSize == 10
    for more in ({"role": "admin"}, {"batchSize": 101}, {"batchSize": "ten"}):
        with pytest.raises(ValidationError):
            BackfillRequest.model_validate({"accountId": "178"} | more)


def test_a_search_has_at_most_two_hundred_characters() -> None:
    assert ConversationsQuery(q="x" * 200).limit == 50
    with pytest.raises(ValidationError):
        ConversationsQuery(q="x" * 201)


def test_reasons_are_in_the_document() -> None:
    reason = IdentitiesQuery.model_json_schema()["$defs"]["LookupReason"]["enum"]
    assert "never_tried" in reason


@pytest.mark.parametrize("address", NAMING)
def test_what_no_database_can_keep_is_looked_for_in_vain(app: Flask, address: str) -> None:
    an_account()
    people_wrote(LEA)
    method, _, path = address.partition(" ")
    answer = an_api_client(app).call(method, path)
    assert answer.status_code == 404 or answer.get_json()["data"] == [], answer.text


def test_a_body_cannot_carry_what_no_database_can_keep(app: Flask) -> None:
    problem(an_api_client(app).post("/api/workers/backfill-profiles", json={"accountId": "a\0\ud800"}), 404)
