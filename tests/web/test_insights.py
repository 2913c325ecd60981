"""The page of figures."""

from flask import Flask

from tests.cast import LEA, an_account, people_wrote
from tests.web.browsing import signed_in


def test_figures_come_as_charts_and_as_tables(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    shown = signed_in(app).get("/insights").text
    assert shown.count('role="img"') >= 3
    assert shown.count("Show as table") == 2
    assert "In 30 days 1 people wrote for the first time" in shown


def test_without_an_account_there_is_nothing_to_show(app: Flask) -> None:
    assert "No account connected" in signed_in(app).get("/insights").text
