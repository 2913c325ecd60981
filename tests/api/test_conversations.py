"""Conversations and messages for programs."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.identities import sighting
from app.identities.sighting import Sighting
from app.models.identity import Source
from app.models.inbox import Account
from tests.api.programs import Program, a_program, problem
from tests.cast import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, RUI, an_account, people_wrote

LIST = "/messaging/conversations"


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE, RUI)
    with transaction.write() as tx:
        seen = Sighting(
            LEA, "lea.moreau", "Léa Moreau", "https://scontent.fbcdn.net/a.jpg", Source.PROFILE, clock.now()
        )
        sighting.record(tx, account.id, seen)
    return account


@pytest.fixture
def crm(app: Flask, account: Account) -> Program:
    return a_program(app)


def people(answer_data: list[dict[str, str]]) -> list[str]:
    return [each["participantPlatformId"] for each in answer_data]


def test_a_conversation_says_who_writes(crm: Program) -> None:
    [lea] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == LEA]
    assert re.fullmatch(r"[0-9]+", lea.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lea.pop("lastMessageAt"))
    assert lea == {
        "accountId": MAISON_LUNE,
        "participantPlatformId": LEA,
        "participantUsername": "lea.moreau",
        "participantName": "Léa Moreau",
        "participantProfilePic": None,  # not fetched yet; Meta's own address ends within days
        "displayName": "@lea.moreau",
        "identityState": "known",
        "lastMessagePreview": "Bonjour !",
        "unreadCount": 1,
        "status": "open",
    }


def test_a_nameless_person_is_null_and_has_a_short_name(crm: Program) -> None:
    [rui] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == RUI]
    assert (rui["participantUsername"], rui["participantName"], rui["identityState"]) == (None, None, "unknown")
    assert rui["displayName"] == f"@user_{RUI[-6:]}"


def test_pages_follow_each_other_by_cursor(crm: Program) -> None:
    first = crm.get(f"{LIST}?limit=2").get_json()
    second = crm.get(f"{LIST}?limit=2&cursor={first['nextCursor']}").get_json()
    assert (people(first["data"]), people(second["data"])) == ([RUI, CAMILLE], [LEA])
    assert second["nextCursor"] is None


@pytest.mark.row("S31")
def test_a_cursor_works_for_its_own_list_alone(crm: Program) -> None:
    cursor = crm.get(f"{LIST}?limit=1").get_json()["nextCursor"]
    for address in (f"{LIST}?unread=true&cursor={cursor}", f"{LIST}?cursor={cursor[:-2]}xx", f"{LIST}?cursor=1"):
        problem(crm.get(address), 400)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("unknown=true", [RUI, CAMILLE]),
        ("unread=true", [RUI, CAMILLE, LEA]),
        ("q=lea.mor", [LEA]),
        ("q=%25", []),
        ("status=closed", []),
        (f"accountId={MAISON_LUNE}", [RUI, CAMILLE, LEA]),
    ],
)
def test_the_list_can_be_narrowed(crm: Program, query: str, found: list[str]) -> None:
    assert people(crm.get(f"{LIST}?{query}").get_json()["data"]) == found


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1" + "0" * 5000, "1e2", "٣", "x", ""])
def test_a_limit_is_a_number_from_one_to_a_hundred(crm: Program, limit: str) -> None:
    document = problem(crm.get(LIST, query_string={"limit": limit}), 422)
    assert [each["field"] for each in document["errors"]] == ["limit"]


def test_unknown_parameters_are_refused(crm: Program) -> None:
    assert problem(crm.get(f"{LIST}?role=admin&limit=0"), 422)["errors"] == [
        {"field": "limit", "detail": "Input should be greater than or equal to 1"},
        {"field": "role", "detail": "Extra inputs are not permitted"},
    ]


def test_messages_come_newest_first(crm: Program, account: Account) -> None:
    people_wrote(LEA, at=clock.now() + timedelta(minutes=1))
    [lea] = crm.get(f"{LIST}?q=lea").get_json()["data"]
    first = crm.get(f"{LIST}/{lea['id']}/messages?limit=1").get_json()
    second = crm.get(f"{LIST}/{lea['id']}/messages?limit=1&cursor={first['nextCursor']}").get_json()
    [newest], [oldest] = first["data"], second["data"]
    assert newest["sentAt"] > oldest["sentAt"]
    assert (oldest["text"], oldest["direction"], oldest["senderId"]) == ("Bonjour !", "incoming", LEA)
    assert second["nextCursor"] is None


def test_what_a_token_may_not_see_reads_like_what_is_not_there(app: Flask, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    limited = a_program(app, accounts=[other.id])
    [lea] = a_program(app, name="all").get(f"{LIST}?q=lea").get_json()["data"]
    assert limited.get(LIST).get_json()["data"] == []
    for address in (f"{LIST}/{lea['id']}", f"{LIST}/{lea['id']}/messages", f"{LIST}/999999", f"{LIST}/x"):
        assert problem(limited.get(address), 404)["detail"] == "No such conversation."
    assert problem(limited.get(f"{LIST}?accountId={MAISON_LUNE}"), 404)["detail"] == "No such account."
