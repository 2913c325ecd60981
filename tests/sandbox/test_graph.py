"""The sandbox's Graph API responds as Meta's does."""

import pytest

from tests.factories import (
    ATELIER_NORD_PAGE,
    CAMILLE,
    GHOST,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    SHY,
    UNKNOWN_PERSON,
)
from tests.sandbox.calls import FACEBOOK_TOKEN, get
from tests.support.processes import Sandbox

FIELDS = "name,username,profile_pic"


def test_a_profile_has_the_requested_fields_and_the_id(sandbox: Sandbox) -> None:
    status, profile, _ = get(sandbox, LEA, fields="username")
    assert (status, profile) == (200, {"username": "lea.moreau", "id": LEA})
    _, whole, _ = get(sandbox, LEA, fields=FIELDS)
    assert whole["name"] == "Léa Moreau"
    assert "oe=" in whole["profile_pic"]


def test_fields_without_a_value_are_left_out(sandbox: Sandbox) -> None:
    _, camille, _ = get(sandbox, CAMILLE, fields="name,username")
    assert camille == {"name": "Camille Roux", "id": CAMILLE}
    _, nobody, _ = get(sandbox, UNKNOWN_PERSON, fields=FIELDS)
    assert nobody == {"id": UNKNOWN_PERSON}


@pytest.mark.parametrize(("person", "status", "code"), [(GHOST, 400, 9010), (SHY, 403, 230), ("15200", 400, 9010)])
def test_contacts_without_a_readable_profile_return_metas_errors(
    sandbox: Sandbox, person: str, status: int, code: int
) -> None:
    answered, body, _ = get(sandbox, person, fields=FIELDS)
    assert (answered, body["error"]["code"]) == (status, code)


@pytest.mark.parametrize("token", [None, "IGAAwrong", FACEBOOK_TOKEN])
def test_a_token_of_the_other_host_returns_error_190(sandbox: Sandbox, token: str | None) -> None:
    _, body, _ = get(sandbox, LEA, token=token)
    assert body["error"]["code"] == 190


def test_me_is_the_account_for_one_login_and_the_page_for_the_other(sandbox: Sandbox) -> None:
    _, instagram, _ = get(sandbox, "me", fields="id,user_id,username")
    assert instagram == {"data": [{"id": MAISON_LUNE_APP_SCOPED, "user_id": MAISON_LUNE, "username": "maison.lune"}]}
    _, page, _ = get(sandbox, "me", token=FACEBOOK_TOKEN, host="facebook")
    assert page["id"] == ATELIER_NORD_PAGE


def test_conversations_are_paged_newest_first_with_a_token_in_next(sandbox: Sandbox) -> None:
    for person in (LEA, CAMILLE, GHOST):
        sandbox.post("send", person=person, text="Bonjour")
    _, first, _ = get(sandbox, "me/conversations", platform="instagram", fields="id,participants", limit="2")
    people = [thread["participants"]["data"][1]["id"] for thread in first["data"]]
    assert people == [GHOST, CAMILLE]
    assert "access_token=" in first["paging"]["next"]
    after = first["paging"]["cursors"]["after"]
    _, second, _ = get(sandbox, "me/conversations", platform="instagram", fields="participants", after=after)
    assert second["data"][0]["participants"]["data"][1] == {"username": "lea.moreau", "id": LEA}
    assert "next" not in second["paging"]


def test_conversations_can_be_returned_with_metas_oddities(sandbox: Sandbox) -> None:
    for person in (LEA, CAMILLE):
        sandbox.post("send", person=person, text="Bonjour")
    fields = "id,participants,messages.limit(1){id,from,message}"
    sandbox.request("PATCH", f"conversations/{LEA}", participants=[{"username": "gone"}], message={"from": None})
    _, page, _ = get(sandbox, "me/conversations", platform="instagram", fields=fields)
    camille, lea = page["data"]
    assert (camille["messages"]["data"][0]["from"]["id"], lea["participants"]["data"]) == (
        CAMILLE,
        [{"username": "gone"}],
    )
    assert "from" not in lea["messages"]["data"][0]
    sandbox.request("PATCH", f"conversations/{LEA}", error="1")
    spoiled, body, _ = get(sandbox, "me/conversations", platform="instagram", fields=fields)
    assert (spoiled, body["error"]["code"]) == (500, 1)


def test_a_conversation_with_an_error_is_still_listed_by_its_id(sandbox: Sandbox) -> None:
    sandbox.post("send", person=LEA, text="Bonjour")
    sandbox.request("PATCH", f"conversations/{LEA}", error="1")
    _, listed, _ = get(sandbox, "me/conversations", platform="instagram", fields="id")
    assert listed["data"] == [{"id": f"t_{MAISON_LUNE}_{LEA}"}]
    sandbox.post("reset")
    assert get(sandbox, "me/conversations", platform="instagram", fields="id,participants")[1]["data"] == []


def test_a_list_can_begin_with_an_empty_page_that_has_no_cursors(sandbox: Sandbox) -> None:
    sandbox.post("send", person=LEA, text="Bonjour")
    sandbox.request("PATCH", "settings", sparse_pages=True)
    _, first, _ = get(sandbox, "me/conversations", platform="instagram", fields="id")
    assert (first["data"], first["paging"].keys()) == ([], {"next"})
    _, second, _ = get(sandbox, "me/conversations", platform="instagram", fields="id", after="after0")
    assert len(second["data"]) == 1


@pytest.mark.parametrize("asked", [{"fields": "id,participants", "limit": "11"}, {"fields": "id,updated_time"}])
def test_a_list_can_be_refused_as_too_much(sandbox: Sandbox, asked: dict[str, str]) -> None:
    sandbox.request("PATCH", "settings", largest_page=10, updated_time=False)
    status, body, _ = get(sandbox, "me/conversations", **({"platform": "instagram", "limit": "10"} | asked))
    assert (status, body["error"]["code"]) == (500, 1)
    assert "reduce the amount of data" in body["error"]["message"]


def test_only_the_twenty_newest_messages_can_be_read(sandbox: Sandbox) -> None:
    mids = sandbox.post("send", person=LEA, text="Bonjour", times=21)["mids"]
    assert get(sandbox, mids[-1], fields="message")[1]["message"] == "Bonjour"
    assert get(sandbox, mids[0], fields="message")[1]["error"]["code"] == 9000001


def test_calls_to_facebook_need_a_proof(sandbox: Sandbox) -> None:
    refused = get(sandbox, "me", token=FACEBOOK_TOKEN, host="facebook", appsecret_proof="0" * 64)
    assert (refused[0], refused[1]["error"]["code"]) == (400, 100)
    assert "appsecret_proof" in refused[1]["error"]["message"]
    assert get(sandbox, "me", token=FACEBOOK_TOKEN, host="facebook")[0] == 200


def test_ids_are_numbers_on_demand(sandbox: Sandbox) -> None:
    sandbox.request("PATCH", "settings", numeric_ids=True)
    [account] = get(sandbox, "me", fields="user_id,username")[1]["data"]
    assert account["user_id"] == int(MAISON_LUNE)
