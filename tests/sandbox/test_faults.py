"""Faults on demand affect the selected calls and no others."""

import http.client

import pytest

from tests.factories import LEA
from tests.sandbox.calls import INSTAGRAM_TOKEN, get
from tests.support.processes import Sandbox

PROFILE = f"/instagram/v26.0/{LEA}?fields=name"


def ask(sandbox: Sandbox) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", PROFILE, headers={"Authorization": f"Bearer {INSTAGRAM_TOKEN}"})
        answer = connection.getresponse()
        return answer.status, answer.read(100_000)
    finally:
        connection.close()


@pytest.mark.parametrize("mode", ["190", "4", "17", "613", "80002", "80006", "10", "200", "2", "230", "9010"])
def test_an_error_of_meta_is_returned_by_its_code(sandbox: Sandbox, mode: str) -> None:
    sandbox.post("faults", mode=mode)
    assert get(sandbox, LEA)[1]["error"]["code"] == int(mode)


@pytest.mark.parametrize(
    ("mode", "status", "begins"),
    [
        ("429", 429, b"slow down"),
        ("500", 500, b"oops"),
        ("html", 200, b"<html>"),
        ("malformed", 200, b'{"id": "15'),
        ("empty", 200, b""),
        ("array", 200, b"[]"),
        ("types", 200, b'{"name": 7'),
        ("null", 200, b'{"name": null'),
        ("huge", 200, b'{"id": "xxx'),
        ("gzip-bomb", 200, b"\x1f\x8b"),
        ("redirect", 302, b""),
    ],
)
def test_a_network_fault_is_applied(sandbox: Sandbox, mode: str, status: int, begins: bytes) -> None:
    sandbox.post("faults", mode=mode)
    answered, body = ask(sandbox)
    assert answered == status
    assert body.startswith(begins)


def test_a_reset_connection_has_no_response(sandbox: Sandbox) -> None:
    sandbox.post("faults", mode="reset")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(sandbox)


def test_a_fault_ends_by_count_and_affects_no_other_account_or_call(sandbox: Sandbox) -> None:
    sandbox.post("faults", mode="500", count=1, call="profile")
    assert get(sandbox, "me")[0] == 200
    assert ask(sandbox)[0] == 500
    assert ask(sandbox)[0] == 200
    sandbox.post("faults", mode="500", account="17841400000000202")
    assert ask(sandbox)[0] == 200
