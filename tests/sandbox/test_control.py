"""Control routes: available on this machine only, with clear errors."""

import json
import urllib.request
from urllib.error import HTTPError

import pytest

from tests.factories import LEA, MAISON_LUNE, RUI
from tests.sandbox.calls import get
from tests.support.processes import Sandbox


def patch(sandbox: Sandbox, path: str, **fields: object) -> None:
    body = json.dumps(fields).encode()
    urllib.request.urlopen(urllib.request.Request(f"{sandbox.url}/_sandbox/{path}", body, method="PATCH")).close()


def refusal(sandbox: Sandbox, path: str, method: str = "POST", **fields: object) -> tuple[int, str]:
    with pytest.raises(HTTPError) as refused:
        sandbox.request(method, path, **fields)
    with refused.value as answer:
        return answer.code, json.load(answer)["error"]


def test_the_listed_accounts_can_be_connected(sandbox: Sandbox) -> None:
    accounts = {account["username"]: account for account in sandbox.get("accounts")}
    assert accounts["maison.lune"]["id"] == MAISON_LUNE
    assert get(sandbox, "me", token=accounts["maison.lune"]["token"])[0] == 200


def test_several_hundred_contacts_are_split_over_both_accounts(sandbox: Sandbox) -> None:
    people = sandbox.get("people")
    assert len(people) > 300
    assert len({person["account"] for person in people}) == 2
    assert {None, "230", "9010", "100-33", "2"} <= {person["error"] for person in people}
    assert any(int(person["id"]) > 2**53 for person in people)


def test_a_renamed_contact_has_the_new_name(sandbox: Sandbox) -> None:
    patch(sandbox, f"people/{RUI}", username="rui.c")
    assert get(sandbox, RUI, fields="username")[1]["username"] == "rui.c"


def test_a_reset_deletes_the_state(sandbox: Sandbox) -> None:
    patch(sandbox, f"people/{LEA}", username="lea.m")
    sandbox.post("faults", mode="500")
    sandbox.post("reset")
    assert get(sandbox, LEA, fields="username")[1]["username"] == "lea.moreau"


def test_invalid_input_is_refused_with_an_explanation(sandbox: Sandbox) -> None:
    assert refusal(sandbox, "faults", mode="nonsense")[0] == 400
    assert refusal(sandbox, "faults", moude="500") == (400, "a fault has no moude.")
    assert refusal(sandbox, "send", person="1") == (400, "person must be the ID of a contact in /_sandbox/people.")
    assert refusal(sandbox, f"conversations/{LEA}", "PATCH", erorr="1") == (400, "a conversation has no erorr.")
    assert refusal(sandbox, f"conversations/{LEA}", "PATCH", error="nonsense")[0] == 400
    assert refusal(sandbox, "lever") == (404, "Unknown control route.")


def test_another_host_name_is_refused(sandbox: Sandbox) -> None:
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/accounts", headers={"Host": "evil.example:80"})
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.code == 403
