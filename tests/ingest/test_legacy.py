"""Bringing in an older system's names: merged once, counted truthfully, nothing better overwritten."""

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import sighting
from app.identities.sighting import Sighting
from app.ingest import legacy
from app.models.identity import Identity, Source
from app.models.inbox import Account
from tests.cast import CAMILLE, LEA, MAISON_LUNE, MAISON_LUNE_IGSID, RUI, an_account
from tests.cli.commands import nametag, refused


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account(own_ids=[MAISON_LUNE_IGSID], location_id="paris-1")


def dumped(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    file = tmp_path / "dump.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def a_row(person: str = LEA, **values: Any) -> dict[str, Any]:
    return {"account_id": MAISON_LUNE, "participant_id": person, "username": "lea.moreau"} | values


def identities() -> dict[str, Identity]:
    db.session.rollback()
    return {each.ig_participant_id: each for each in db.session.scalars(select(Identity))}


def test_rows_become_identities_and_are_counted(account: Account, tmp_path: Path) -> None:
    file = dumped(
        tmp_path,
        a_row(LEA, name="Léa Moreau", updated_at="2026-05-01T10:00:00Z"),
        a_row(LEA, username="older", updated_at="2026-01-01T10:00:00Z"),
        a_row(CAMILLE, username=None, name="Camille Roux"),
        a_row(RUI, account_id=None),
        a_row(RUI, account_id="17840000000000000"),
        a_row("1520000000000077", username="UNKNOWN_77", name="unknown"),
        a_row(MAISON_LUNE_IGSID, username="maison.lune"),
    )
    assert asdict(legacy.load(file)) == {
        "total": 7,
        "null_accounts": 1,
        "unique_pairs": 5,
        "unknown_accounts": 1,
        "nameless": 2,
        "names": 2,
    }
    found = identities()
    assert set(found) == {LEA, CAMILLE}
    assert (found[LEA].username, found[LEA].name, found[LEA].username_source) == (
        *("lea.moreau", "Léa Moreau", Source.LEGACY),
    )


def test_importing_twice_changes_nothing(account: Account, tmp_path: Path) -> None:
    file = dumped(tmp_path, a_row(updated_at="2026-05-01 10:00:00"))
    assert (legacy.load(file).names, legacy.load(file).names) == (1, 0)


def test_what_is_known_better_stays(account: Account, tmp_path: Path) -> None:
    with transaction.write() as tx:
        seen = Sighting(LEA, "lea.paris", None, None, Source.PROFILE, clock.now() - timedelta(hours=1))
        sighting.record(tx, account.id, seen)
    legacy.load(dumped(tmp_path, a_row(name="Léa", updated_at="2026-05-01T10:00:00Z")))
    lea = identities()[LEA]
    assert (lea.username, lea.name) == ("lea.paris", "Léa")


def test_accounts_are_known_by_each_of_their_ids(account: Account, tmp_path: Path) -> None:
    rows = (a_row(LEA, account_id="paris-1"), {"accountId": MAISON_LUNE, "participantPlatformId": RUI, "name": "Rui"})
    assert legacy.load(dumped(tmp_path, *rows)).names == 2


def test_a_damaged_dump_changes_nothing(account: Account, tmp_path: Path) -> None:
    file = dumped(tmp_path, a_row())
    file.write_text(file.read_text() + "and then nonsense\n")
    refused(nametag("import-legacy", str(file)), status=2)
    assert identities() == {}


def test_the_counts_are_printed(account: Account, tmp_path: Path) -> None:
    file = str(dumped(tmp_path, a_row(), a_row(RUI, account_id=None)))
    printed = nametag("import-legacy", file).stdout.splitlines()
    assert [line.split()[-1] for line in printed[:3]] == ["2", "1", "1"]
    assert json.loads(nametag("import-legacy", file, "--json").stdout)["null_accounts"] == 1
