"""`nametag schedules …`."""

import json

from flask import Flask

from tests.api.clients import an_api_client
from tests.cli.commands import nametag, refused
from tests.factories import MAISON_LUNE, an_account


def test_the_list_is_that_of_the_api_and_says_that_no_scheduler_runs(app: Flask) -> None:
    found = json.loads(nametag("schedules", "list", "--json").stdout)
    assert found == an_api_client(app).get("/api/schedules").get_json()["data"]
    lines = nametag("schedules", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "PERIOD", "STATE", "LAST", "RESULT", "NEXT", "OFF", "FOR", "SKIPPED"]
    assert lines[-1].endswith("Start it: nametag scheduler")


def test_a_schedule_is_run_and_switched_off_and_on(app: Flask) -> None:
    assert nametag("schedules", "run", "pictures").stdout == "Pictures runs within seconds.\n"
    assert refused(nametag("schedules", "run", "pictures"), status=1).startswith("Error: Pictures runs already.")
    assert json.loads(nametag("schedules", "off", "pictures", "--json").stdout)["offBy"] == "Command line"
    assert "off by Command line" in nametag("schedules", "list").stdout
    assert nametag("schedules", "on", "pictures").stdout == "Pictures is on.\n"
    assert refused(nametag("schedules", "on", "tea-time"), status=1) == "Error: No such schedule."


def test_switching_off_token_refresh_asks_first(app: Flask) -> None:
    assert nametag("schedules", "off", "token-refresh", answer="n\n").exit_code == 1
    assert nametag("schedules", "on", "token-refresh").exit_code == 1  # it is on
    assert nametag("schedules", "off", "token-refresh", answer="y\n").exit_code == 0
    assert nametag("schedules", "on", "token-refresh").exit_code == 0
    assert nametag("schedules", "off", "token-refresh", "--yes").exit_code == 0


def test_a_schedule_is_switched_off_for_one_account_with_a_reason(app: Flask) -> None:
    an_account()
    account = ("--account-id", MAISON_LUNE)
    said = nametag("schedules", "off", "pictures", *account, "--reason", "Rebranding").stdout
    again = f"nametag schedules on pictures {' '.join(account)}"
    assert said == f"Pictures is off for {MAISON_LUNE}. To switch it on: {again}\n"
    assert "maison.lune (off by Command line: Rebranding)" in nametag("schedules", "list").stdout
    assert refused(nametag("schedules", "off", "pictures", *account), status=1).startswith(
        "Error: Pictures is off for maison.lune already."
    )
    assert nametag("schedules", "on", "pictures", *account).stdout == f"Pictures is on for {MAISON_LUNE}.\n"
    assert refused(nametag("schedules", "off", "pictures", "--account-id", "1"), status=2) == "Error: No such account."
