"""`nametag identities export`: to standard output, or to a file."""

import json
from pathlib import Path

from flask import Flask

from tests.api.clients import an_api_client
from tests.cli.commands import nametag
from tests.factories import CAMILLE, LEA, an_account, people_wrote


def test_everyone_comes_out_as_csv_or_json_lines(app: Flask) -> None:
    an_account()
    people_wrote(LEA, CAMILLE)
    assert len(nametag("identities", "export").stdout.splitlines()) == 3
    lines = nametag("identities", "export", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["participantPlatformId"] for line in lines] == [LEA, CAMILLE]


def test_a_file_is_written_and_one_that_cannot_be_is_said(app: Flask, tmp_path: Path) -> None:
    an_account()
    people_wrote(LEA)
    file = tmp_path / "people.csv"
    assert nametag("identities", "export", "--output", str(file)).exit_code == 0
    assert LEA in file.read_text()
    refused = nametag("identities", "export", "--output", str(tmp_path / "no" / "folder.csv"))
    assert refused.exit_code == 1
    assert "Can't write" in refused.stderr


def test_identities_are_listed_as_in_the_api(app: Flask) -> None:
    an_account()
    people_wrote(LEA, CAMILLE)
    listed = json.loads(nametag("identities", "list", "--search", LEA, "--json").stdout)
    assert listed == an_api_client(app).get(f"/api/identities?q={LEA}").get_json()["data"]
    assert LEA in nametag("identities", "list", "--state", "unknown").stdout
    assert nametag("identities", "list", "--state", "odd").exit_code == 2
