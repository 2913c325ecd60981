"""Importing names from an older system: merged once, every row counted, better names kept."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import NO_PROFILE
from app.identities.observations import ProfileObservation
from app.legacy_import import importer
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Identity, Source, UsernameHistory
from tests.cli.commands import nametag, refused
from tests.factories import CAMILLE, LEA, MAISON_LUNE, MAISON_LUNE_IGSID, RUI, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account(own_ids=[MAISON_LUNE_IGSID], location_id="paris-1")


def a_dump(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    file = tmp_path / "dump.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def a_row(person: str = LEA, **values: Any) -> dict[str, Any]:
    return {"account_id": MAISON_LUNE, "participant_id": person, "username": "lea.moreau"} | values


def identities() -> dict[str, Identity]:
    db.session.rollback()
    return {each.ig_participant_id: each for each in db.session.scalars(select(Identity))}


def test_rows_become_identities_and_are_counted(account: Account, tmp_path: Path) -> None:
    file = a_dump(
        tmp_path,
        a_row(LEA, name="Léa Moreau", updated_at="2026-05-01T10:00:00Z"),
        a_row(LEA, username="older", updated_at="2026-01-01T10:00:00Z"),
        a_row(CAMILLE, username=None, name="Camille Roux"),
        a_row(RUI, account_id=None),
        a_row(RUI, account_id="17840000000000000"),
        a_row("1520000000000077", username="UNKNOWN_77", name="unknown"),
        a_row(MAISON_LUNE_IGSID, username="maison.lune"),
    )
    assert asdict(importer.import_names(file)) == {
        "total": 7,
        "null_accounts": 1,
        "unique_pairs": 5,
        "unknown_accounts": 1,
        "unusable": 0,
        "without_name": 2,
        "names": 2,
    }
    found = identities()
    assert set(found) == {LEA, CAMILLE}
    assert (found[LEA].username, found[LEA].name, found[LEA].username_source) == (
        *("lea.moreau", "Léa Moreau", Source.LEGACY),
    )


@pytest.mark.parametrize("null", ["\\N", "NULL", "None", ""])
def test_null_in_a_csv_file_is_no_name(account: Account, tmp_path: Path, null: str) -> None:
    file = tmp_path / "dump.csv"
    columns = "account_id,participant_id,username,name"
    file.write_text(f"{columns}\n{MAISON_LUNE},{LEA},{null},{null}\n{MAISON_LUNE},{RUI},{null},Rui\n")
    assert (importer.import_names(file).without_name, set(identities())) == (1, {RUI})
    assert identities()[RUI].username is None


def test_rows_without_a_usable_contact_id_are_dropped_and_counted(account: Account, tmp_path: Path) -> None:
    people = ("1" * 65, "15\x0020", "15200\ud800", "lea", "-1", 1.5e21, None, True, [LEA], "\u0661\u0662")
    rows = [a_row(f"1520000000{number:06d}") for number in range(150)]
    rows[101:101] = [a_row(person) for person in people]  # type: ignore[arg-type]  # that is the point
    counted = importer.import_names(a_dump(tmp_path, *rows))
    assert (counted.total, counted.unusable, counted.names) == (160, len(people), 150)
    assert len(identities()) == 150


def snapshot() -> list[dict[str, Any]]:
    db.session.rollback()
    tables = (Identity.__table__, UsernameHistory.__table__, Conversation.__table__)
    return [dict(row) for table in tables for row in db.session.execute(select(table)).mappings()]


def test_importing_twice_changes_nothing_however_many_days_later(
    account: Account, tmp_path: Path, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA, RUI)
    file = a_dump(
        tmp_path,
        a_row(updated_at="2026-05-01 10:00:00"),
        a_row(username="older", updated_at="2026-01-01"),
        a_row(username="undated"),
        a_row(RUI, username="rui.costa", updated_at="not a date"),
        a_row(RUI, username="rui.c", updated_at="9999-12-31T23:59:59-14:00"),
        a_row(CAMILLE, username="camille", updated_at="0001-01-01T00:00:00+14:00"),
    )
    assert importer.import_names(file).names == 3
    before = snapshot()
    frozen_clock.at += timedelta(days=40)
    assert importer.import_names(file).names == 0
    assert snapshot() == before
    assert identities()[LEA].username == "lea.moreau"


def test_a_row_without_a_date_never_replaces_a_stored_name(
    account: Account, tmp_path: Path, frozen_clock: FrozenClock
) -> None:
    with transaction.write() as tx:
        seen = ProfileObservation(LEA, "lea.paris", None, None, Source.PROFILE, clock.now())
        observations.record(tx, account.id, seen)
    frozen_clock.at += timedelta(days=90)
    importer.import_names(a_dump(tmp_path, a_row(name="Léa Moreau")))
    lea = identities()[LEA]
    assert (lea.username, lea.name, lea.last_success_at) == ("lea.paris", "Léa Moreau", seen.at)
    assert db.session.scalars(select(UsernameHistory)).all() == []


def test_an_import_changes_no_failures_and_planned_lookups(account: Account, tmp_path: Path) -> None:
    people_wrote(LEA)
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, LEA, NO_PROFILE, at=clock.now(), raw=None)
    planned = identities()[LEA].next_try_at
    importer.import_names(a_dump(tmp_path, a_row(updated_at="2026-05-01")))
    lea = identities()[LEA]
    assert (lea.username, lea.failure_count, lea.next_try_at) == ("lea.moreau", 1, planned)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-05-01 10:00:00+02", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01T10:00:00.5Z", datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-05-01 10:00:00 UTC", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        (1_777_629_600, datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("1777629600000", datetime(2026, 5, 1, 10, tzinfo=UTC)),
    ],
)
def test_dates_are_read_in_the_formats_of_older_systems(
    account: Account, tmp_path: Path, written: object, read: datetime
) -> None:
    importer.import_names(a_dump(tmp_path, a_row(updated_at=written)))
    assert identities()[LEA].username_at == read


def test_a_newer_name_is_kept(account: Account, tmp_path: Path) -> None:
    with transaction.write() as tx:
        seen = ProfileObservation(LEA, "lea.paris", None, None, Source.PROFILE, clock.now() - timedelta(hours=1))
        observations.record(tx, account.id, seen)
    importer.import_names(a_dump(tmp_path, a_row(name="Léa", updated_at="2026-05-01T10:00:00Z")))
    lea = identities()[LEA]
    assert (lea.username, lea.name) == ("lea.paris", "Léa")


def test_each_id_of_an_account_finds_it(account: Account, tmp_path: Path) -> None:
    rows = (a_row(LEA, account_id="paris-1"), {"accountId": MAISON_LUNE, "participantPlatformId": RUI, "name": "Rui"})
    assert importer.import_names(a_dump(tmp_path, *rows)).names == 2


def test_a_damaged_dump_changes_nothing(account: Account, tmp_path: Path) -> None:
    file = a_dump(tmp_path, a_row())
    file.write_text(file.read_text() + "and then nonsense\n")
    refused(nametag("import-legacy", str(file)), status=2)
    assert identities() == {}


def test_the_counts_are_printed(account: Account, tmp_path: Path) -> None:
    file = str(a_dump(tmp_path, a_row(), a_row(RUI, account_id=None)))
    printed = nametag("import-legacy", file).stdout.splitlines()
    assert [line.split()[-1] for line in printed[:3]] == ["2", "1", "1"]
    assert json.loads(nametag("import-legacy", file, "--json").stdout)["nullAccounts"] == 1
