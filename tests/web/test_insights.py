"""The Insights page."""

import pytest
from flask import Flask
from sqlalchemy import update

from app.db import transaction
from app.models.user import User
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, an_account, people_wrote
from tests.web.browsing import signed_in


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_figures_come_as_charts_and_as_tables(app: Flask, period: str) -> None:
    an_account()
    people_wrote(LEA)
    shown = signed_in(app).get(f"/insights?period={period}").text
    assert shown.count("<figure") == 5
    assert shown.count("Show as table") == 4
    assert shown.count("No data yet") == 5
    assert "Of 1 contact, 0 are shown by username and 1 by short ID" in shown
    assert "All accounts, times in UTC" in " ".join(shown.split())


def test_figures_are_of_the_accounts_that_one_may_see(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    other = an_account(ATELIER_NORD)
    client = signed_in(app)
    assert "of 0 contacts" in client.get(f"/insights?account={ATELIER_NORD}").text
    with transaction.write() as tx:
        tx.execute(update(User).values(account_ids=[other.id]))
    assert "of 0 contacts" in client.get("/insights").text
    assert client.get(f"/insights?account={MAISON_LUNE}").status_code == 404


def test_an_unknown_period_is_refused(app: Flask) -> None:
    an_account()
    assert signed_in(app).get("/insights?period=year").status_code == 422


def test_without_an_account_there_is_nothing_to_show(app: Flask) -> None:
    assert "No account connected" in signed_in(app).get("/insights").text
