"""Insights in the API and on the command line."""

import json

from flask import Flask

from tests.api.clients import an_api_client, problem
from tests.cli.commands import nametag
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote


def test_figures_are_those_of_the_command_line(app: Flask) -> None:
    client = an_api_client(app)
    problem(client.get("/api/insights"), 404)
    assert nametag("insights").exit_code == 1
    an_account()
    people_wrote(LEA, CAMILLE)
    found = client.get("/api/insights?period=week").get_json()
    assert (found["period"], found["contacts"], found["unknown"], len(found["history"])) == ("week", 2, 2, 7)
    assert json.loads(nametag("insights", "--period", "week", "--json").stdout) == found
    assert "contacts" in nametag("insights", "--account-id", MAISON_LUNE).stdout


def test_figures_of_an_account_that_the_token_may_not_see_are_not_found(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    limited = an_api_client(app, "read", accounts=[other.id])
    problem(limited.get(f"/api/insights?accountId={MAISON_LUNE}"), 404)
    problem(limited.get("/api/insights?period=year"), 422)
