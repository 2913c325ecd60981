"""Identities in the API."""

import json

import pytest
from flask import Flask
from redis import Redis

from app import clock, queue
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.identity import Source
from tests.api.clients import ApiClient, an_api_client, problem
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote

LIST = "/api/identities"


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now())
        )
    return account


@pytest.fixture
def crm(app: Flask, account: Account) -> ApiClient:
    return an_api_client(app)


def test_an_identity_says_why_there_is_no_name(crm: ApiClient) -> None:
    [camille] = crm.get(f"{LIST}?state=unknown").get_json()["data"]
    assert (camille["participantPlatformId"], camille["accountId"]) == (CAMILLE, MAISON_LUNE)
    assert (camille["reason"], camille["username"], camille["identityState"]) == ("never_tried", None, "unknown")
    assert crm.get(f"{LIST}/{camille['id']}").get_json() == camille


def test_the_list_is_read_page_by_page(crm: ApiClient) -> None:
    first = crm.get(f"{LIST}?limit=1").get_json()
    second = crm.get(f"{LIST}?limit=1&cursor={first['nextCursor']}").get_json()
    assert [each["data"][0]["participantPlatformId"] for each in (first, second)] == [CAMILLE, LEA]
    assert second["nextCursor"] is None
    problem(crm.get(f"{LIST}?limit=1&state=known&cursor={first['nextCursor']}"), 400)


@pytest.mark.parametrize("query", ["state=x", "reason=x", "limit=0", "nothing=1"])
def test_what_there_is_not_is_named(crm: ApiClient, query: str) -> None:
    [wrong] = problem(crm.get(f"{LIST}?{query}"), 422)["errors"]
    assert wrong["field"] == query.partition("=")[0]


def test_a_person_can_be_asked_for_again(crm: ApiClient, redis: Redis) -> None:
    [camille] = crm.get(f"{LIST}?state=unknown").get_json()["data"]
    redis.flushall()
    answer = crm.post(f"{LIST}/{camille['id']}/refresh")
    assert (answer.status_code, answer.get_json()) == (202, {"status": "queued", "lookedUpAt": None})
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1
    assert crm.get(f"{LIST}/{camille['id']}").get_json()["nextTryAt"] is not None


def test_everyone_can_be_taken_along(app: Flask, crm: ApiClient) -> None:
    csv = crm.get(f"{LIST}/export")
    assert csv.content_type == "text/csv; charset=utf-8"
    assert "Content-Length" not in csv.headers  # it is sent while it is read
    assert csv.headers["Content-Disposition"] == 'attachment; filename="identities.csv"'
    assert len(csv.text.splitlines()) == 3
    lines = crm.get(f"{LIST}/export?format=jsonl").text.splitlines()
    assert [json.loads(line)["participantPlatformId"] for line in lines] == [LEA, CAMILLE]
    problem(crm.get(f"{LIST}/export?format=xlsx"), 422)
    problem(an_api_client(app, "read", name="reader").get(f"{LIST}/export"), 403)


def test_people_of_other_accounts_do_not_exist(app: Flask, crm: ApiClient) -> None:
    [lea] = crm.get(f"{LIST}?q=lea").get_json()["data"]
    limited = an_api_client(app, accounts=[an_account(ATELIER_NORD).id], name="limited")
    assert limited.get(LIST).get_json()["data"] == []
    for method, address in (
        ("GET", f"{LIST}/{lea['id']}"),
        ("POST", f"{LIST}/{lea['id']}/refresh"),
        ("GET", f"{LIST}/x"),
    ):
        assert problem(limited.call(method, address), 404)["detail"] == "No such identity."
    assert len(limited.get(f"{LIST}/export").text.splitlines()) == 1


def test_a_contact_looked_up_moments_ago_is_reported_as_fresh(crm: ApiClient, redis: Redis) -> None:
    [lea] = crm.get(f"{LIST}?q=lea").get_json()["data"]
    redis.flushall()
    answer = crm.post(f"{LIST}/{lea['id']}/refresh")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "fresh", "lookedUpAt": lea["lastSuccessAt"]})
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 0
