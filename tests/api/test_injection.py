"""Parameters are data: none becomes SQL, and malformed ones are refused with a message."""

import pytest
from flask import Flask

from app.api import auth
from app.db.engine import db
from app.models.conversation import Conversation
from tests.api.clients import ApiClient, an_api_client, problem
from tests.factories import CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote

LIST, IDENTITIES = "/messaging/conversations", "/api/identities"
_ENDS = ("", "--", " #", "/*", ";", "\x00")
_BEGINS = ("'", '"', "')", "1 OR 1=1", "' OR '1'='1", "'; DROP TABLE messages", "' UNION SELECT token FROM accounts")
CLASSIC = tuple(f"{begin}{end}" for begin in _BEGINS for end in _ENDS)
PARAMETERS = (
    *((LIST, name) for name in ("accountId", "status", "unread", "unknown", "q", "limit", "cursor", "sort")),
    *((IDENTITIES, name) for name in ("accountId", "state", "reason", "q", "limit", "cursor", "order")),
)
NO_LIMITS = (
    *("0", "-1", "101", "1" + "0" * 5000, "1e2", "\u0663"),
    *("5.0", " 5", "5 ", "5\n", "5_0", "+5", "", "0x5", "true", "\uff15"),
)


@pytest.fixture
def crm(app: Flask) -> ApiClient:
    an_account()
    people_wrote(LEA, CAMILLE)
    return an_api_client(app)


def test_classic_strings_are_found_nowhere_and_change_nothing(crm: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "READS", 10_000)
    assert len(CLASSIC) >= 40
    for address, name in PARAMETERS:
        for words in CLASSIC:
            answer = crm.get(address, query_string={name: words})
            assert answer.status_code in (200, 400, 404, 422), (address, name, words)
            assert answer.status_code != 200 or answer.get_json()["data"] == [], (address, name, words)
    assert db.session.query(Conversation).count() == 2


def test_a_limit_is_a_plain_number_from_one_to_a_hundred(crm: ApiClient) -> None:
    for address in (LIST, IDENTITIES):
        for limit in NO_LIMITS:
            [wrong] = problem(crm.get(address, query_string={"limit": limit}), 422)["errors"]
            assert wrong["field"] == "limit", (address, limit)
        for limit in ("1", "100", "007"):
            assert crm.get(address, query_string={"limit": limit}).status_code == 200


def test_what_no_address_knows_is_refused(crm: ApiClient) -> None:
    for more in ("role", "account_id", "scopes", "sort"):
        [wrong] = problem(crm.get(f"{LIST}?accountId={MAISON_LUNE}&{more}=admin"), 422)["errors"]
        assert wrong["field"] == more
