"""The Insights page."""

import pytest
from flask import Flask
from sqlalchemy import update

from app.db import transaction
from app.models.call import ApiCall, Purpose
from app.models.user import User
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import signed_in


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_figures_come_as_charts_and_as_tables(app: Flask, period: str) -> None:
    an_account()
    people_wrote(LEA)
    shown = signed_in(app).get(f"/insights?period={period}").text
    assert shown.count("<figure") == 5
    assert shown.count("Show as table") == 4
    assert shown.count("No data yet") == 4
    assert "Target 500 ms" in shown
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


def test_times_above_the_target_say_so_and_a_single_value_is_a_point(app: Flask, frozen_clock: FrozenClock) -> None:
    account = an_account()
    people_wrote(LEA)
    with transaction.write() as tx:
        call = {"account_id": account.id, "call": "profile", "purpose": Purpose.LIVE, "ig_participant_id": LEA}
        tx.execute(tx.insert(ApiCall).values(**call, at=frozen_clock.at, took_ms=1757))
    shown = " ".join(signed_in(app).get("/insights").text.split())
    assert '<span class="figure-value" data-state="warn">1 757 ms</span>' in shown
    assert "above the target of 500 ms" in shown
    assert "chart-point" in shown
