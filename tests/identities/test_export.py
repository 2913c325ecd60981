"""Exports: complete, harmless in spreadsheets, for ops and admins."""

import codecs
import csv
import io
import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import Forbidden, Invalid
from app.identities import export, listing, observations
from app.identities.observations import ProfileObservation
from app.legacy_import import importer
from app.models.account import Account
from app.models.identity import Identity, Source
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, LEA, MAISON_LUNE, RUI, an_account, people_wrote

AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    named(account, "lea.moreau", "Léa Moreau")
    return account


def named(account: Account, username: str | None, name: str | None) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(LEA, username, name, None, Source.PROFILE, clock.now()))


def exported(format_: str) -> str:
    return "".join(export.lines(OPERATOR, listing.parse_filter(), format_=format_))


def test_jsonl_has_a_line_for_each_identity(account: Account) -> None:
    lea, camille = map(json.loads, exported("jsonl").splitlines())
    assert (lea["accountId"], lea["participantPlatformId"], lea["displayName"]) == (MAISON_LUNE, LEA, "@lea.moreau")
    assert (lea["username"], lea["name"], lea["identityState"], lea["source"]) == (
        *("lea.moreau", "Léa Moreau", "known", "profile"),
    )
    assert lea["lastSuccessAt"].endswith("Z")
    assert (camille["identityState"], camille["reason"], camille["username"]) == ("unknown", "never_tried", None)


def test_spreadsheets_get_a_row_for_each_under_the_same_heads(account: Account) -> None:
    written = exported("csv")
    assert written.encode().startswith(codecs.BOM_UTF8)
    heads, lea, camille = csv.reader(io.StringIO(written.removeprefix("\ufeff")))
    assert tuple(heads) == export.FIELDS
    assert (lea[1], lea[3], lea[4], camille[3]) == (f"\t{LEA}", "lea.moreau", "Léa Moreau", "")
    assert lea[9] == "0"  # a real number stays one


@pytest.mark.parametrize("username", ["0012345", "lea.moreau"])
@pytest.mark.parametrize("name", ["Zoë 😀", '=HYPERLINK("http://x")', "24/7", '"a;b", c'])
def test_a_csv_export_is_imported_again_as_it_was(account: Account, tmp_path: Path, username: str, name: str) -> None:
    named(account, username, name)
    file = tmp_path / "identities.csv"
    file.write_bytes(exported("csv").encode())
    with transaction.write() as tx:
        tx.execute(delete(Identity))
    assert importer.import_names(file).names == 1
    lea = db.session.scalars(select(Identity)).one()
    assert (lea.ig_participant_id, lea.username, lea.name) == (LEA, username, name)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "\uff1d1+1", "+1", "-2", "@SUM(1)", "  =1", "\t=1", "\r\n@x"])
def test_no_cell_is_a_formula(account: Account, name: str) -> None:
    named(account, None, name)
    rows = list(csv.reader(io.StringIO(exported("csv"))))
    assert rows[1][4] == f"'{name.strip()}"


def test_rows_are_read_as_they_are_taken(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CHUNK_ROWS", 1)
    monkeypatch.setattr(export, "LINES", 1)
    pieces = export.lines(OPERATOR, listing.parse_filter(), format_="csv")
    taken = [next(pieces), next(pieces)]
    people_wrote(RUI)
    assert [RUI in piece for piece in (*taken, *pieces)] == [False, False, False, True]


def test_quotes_and_commas_come_back_as_they_were(account: Account) -> None:
    named(account, None, 'Léa "la lune", Moreau')
    assert list(csv.reader(io.StringIO(exported("csv"))))[1][4] == 'Léa "la lune", Moreau'


def test_agents_export_nothing_and_there_are_two_formats(account: Account) -> None:
    with pytest.raises(Forbidden):
        export.lines(AGENT, listing.parse_filter(), format_="csv")
    with pytest.raises(Invalid):
        export.lines(OPERATOR, listing.parse_filter(), format_="xlsx")
