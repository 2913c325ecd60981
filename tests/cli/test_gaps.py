"""`nametag gaps`."""

import json

from flask import Flask

from tests.cli.commands import nametag, refused
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.web.test_gaps import a_gap


def test_gaps_are_listed_newest_first(app: Flask) -> None:
    assert nametag("gaps").stdout == "No gaps in the last 90 days.\n"
    a_gap(an_account())
    table = nametag("gaps").stdout
    assert "closed_with_losses" in table
    assert "maison.lune" in table
    [gap] = json.loads(nametag("gaps", "--account-id", MAISON_LUNE, "--json").stdout)
    assert (gap["fetched"], gap["conversations"], gap["causes"]) == (61, 23, ["outage"])
    assert gap["notGiven"] == {"older": 3, "unsent": 2, "unreadable": 0}
    an_account(ATELIER_NORD)
    assert json.loads(nametag("gaps", "--account-id", ATELIER_NORD, "--json").stdout) == []


def test_an_unknown_account_is_misuse(app: Flask) -> None:
    assert "account" in refused(nametag("gaps", "--account-id", "1"), status=2)
