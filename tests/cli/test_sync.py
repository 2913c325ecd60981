"""`nametag sync`."""

import json

import pytest
from flask import Flask

from tests.cli.commands import nametag, refused
from tests.factories import LEA, MAISON_LUNE, a_sandbox_account
from tests.support.processes import Sandbox


@pytest.fixture(autouse=True)
def account(meta: Sandbox) -> None:
    a_sandbox_account()
    meta.post("send", person=LEA, text="Bonjour")


def test_it_says_what_it_brought(app: Flask) -> None:
    answer = nametag("sync", "--account-id", MAISON_LUNE)
    assert (answer.exit_code, answer.stdout) == (
        0,
        "Synced 1 conversation with 1 API call: 1 new message, 1 new name.\n",
    )
    again = json.loads(nametag("sync", "--account-id", MAISON_LUNE, "--limit", "5", "--json").stdout)
    assert (again["conversations"], again["messages"], again["complete"]) == (1, 0, True)


def test_an_early_end_fails_and_says_why(meta: Sandbox) -> None:
    meta.post("faults", mode="190")
    answer = nametag("sync", "--account-id", MAISON_LUNE)
    assert answer.exit_code == 1
    assert "Sync stopped early: " in answer.stdout


def test_what_was_skipped_is_listed_with_its_ids(meta: Sandbox, app: Flask) -> None:
    meta.request("PATCH", f"conversations/{LEA}", message={"from": {"username": "gone.user"}})
    answer = nametag("sync", "--account-id", MAISON_LUNE)
    assert answer.exit_code == 0
    assert "Skipped 1:\nKIND " in answer.stdout
    assert f"t_{MAISON_LUNE}_{LEA}" in answer.stdout
    told = json.loads(nametag("sync", "--account-id", MAISON_LUNE, "--json").stdout)
    [skipped] = told["skipped"]
    assert (skipped["kind"], skipped["conversation"]) == ("message", f"t_{MAISON_LUNE}_{LEA}")
    assert skipped["id"].startswith("aWdf")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_below_one_is_misuse(limit: str) -> None:
    assert nametag("sync", "--account-id", MAISON_LUNE, "--limit", limit).exit_code == 2


def test_an_unknown_account_is_misuse() -> None:
    assert "account" in refused(nametag("sync", "--account-id", "1"), status=2)
