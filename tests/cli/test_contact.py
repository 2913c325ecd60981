"""`nametag contact …`: what is stored, export, erase with confirmation, receipts."""

import json
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from flask import Flask

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.identity import Source
from tests.api.clients import an_api_client
from tests.cli.commands import nametag, refused
from tests.factories import CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote
from tests.support.snapshot import places_of


@pytest.fixture(autouse=True)
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    for minutes, username in enumerate(("lea.old", "lea.moreau")):
        at = clock.now() + timedelta(minutes=minutes)
        with transaction.write() as tx:
            observations.record(tx, account.id, ProfileObservation(LEA, username, None, None, Source.PROFILE, at))
    return account


def test_what_is_stored_is_that_of_the_api(app: Flask) -> None:
    found = json.loads(nametag("contact", "show", "@lea.old", "--json").stdout)
    assert found == an_api_client(app, "privacy").get("/api/identities/1/data").get_json()
    lines = nametag("contact", "show", LEA, "--account-id", MAISON_LUNE).stdout.splitlines()
    assert lines[0].split() == ["Contact", "@lea.moreau"]
    assert ["Messages", "1"] in [line.split() for line in lines]


def test_an_export_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "lea.zip"
    assert nametag("contact", "export", "lea.moreau", "--output", str(file)).exit_code == 0
    with ZipFile(file) as exported:
        assert json.loads(exported.read("contact.json"))["identity"]["username"] == "lea.moreau"
    assert "Can't write" in nametag("contact", "export", LEA, "--output", str(tmp_path / "no" / "lea.zip")).stderr


def test_erasing_asks_for_the_username(account: Account) -> None:
    wrong = nametag("contact", "erase", "lea.old", answer="lea.old\n")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "Nothing was deleted" in wrong.stderr
    assert nametag("contact", "erase", LEA, answer="").exit_code == 1  # no answer
    assert "messages" in places_of(LEA)
    erased = nametag("contact", "erase", LEA, answer="@lea.moreau\n")
    assert "1 conversation, 1 message" in erased.stdout
    assert places_of(LEA, "lea.moreau") == set()


def test_a_receipt_is_shown_again() -> None:
    receipt = json.loads(nametag("contact", "erase", "@lea.moreau", "--yes", "--json").stdout)
    assert json.loads(nametag("contact", "receipt", receipt["id"], "--json").stdout) == receipt
    assert receipt["contact"] in nametag("contact", "receipt", receipt["id"]).stdout


def test_an_unknown_contact_is_one_line() -> None:
    assert refused(nametag("contact", "show", "@somebody"), status=1) == "Error: No such contact: @somebody."


def test_lookups_are_those_of_the_api_and_a_refresh_is_queued(app: Flask) -> None:
    shown = json.loads(nametag("contact", "lookups", LEA, "--json").stdout)
    assert shown == an_api_client(app).get("/api/identities/1/lookups").get_json()["data"]
    assert nametag("contact", "refresh", CAMILLE).stdout.endswith("queued.\n")
