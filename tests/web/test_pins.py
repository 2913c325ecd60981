"""Pinned searches: shown above the list and in the palette, renamed and removed in Settings, each user's own."""

import html
import re
from urllib.parse import quote_plus

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models.account import Account
from app.viewer import Role
from tests.factories import LEA, MAISON_LUNE, an_account, people_wrote
from tests.web.browsing import click, part, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA)
    return account


@pytest.fixture
def agent(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app, Role.AGENT)


def pin(agent: FlaskClient, name: str = "Lamps", q: str = "kind:photo lamp", filter_: str = "unread") -> None:
    answer = click(agent, "/inbox/pins", name=name, q=q, filter=filter_, account=MAISON_LUNE)
    assert answer.headers["HX-Redirect"] == f"/inbox?account={MAISON_LUNE}&filter={filter_}&q={quote_plus(q)}"


def pinned(page: str) -> list[tuple[str, str]]:
    found = re.findall(r'<a class="pins-link" href="([^"]+)".*?<bdi>(.*?)</bdi>', page, re.DOTALL)
    return [(html.unescape(name), html.unescape(url)) for url, name in found]


def test_a_pinned_search_opens_its_list_from_above_it_and_from_the_palette(agent: FlaskClient) -> None:
    pin(agent)
    url = f"/inbox?account={MAISON_LUNE}&filter=unread&q=kind%3Aphoto+lamp"
    assert pinned(agent.get("/inbox").text) == [("Lamps", url)]
    opened = agent.get(url).text
    assert re.search(r'<a class="pins-link"[^>]* aria-current="true"', opened)
    assert 'value="kind:photo lamp"' in opened
    found = part(agent, "/palette?q=lamps").text
    assert f'href="{html.escape(url)}"' in found
    assert "Lamps" not in part(agent, "/palette?q=backfill").text


def test_the_list_carries_what_the_form_pins(agent: FlaskClient) -> None:
    shown = part(agent, "/inbox/list?filter=unread&q=lea").text
    carried = dict(re.findall(r'form="pin-search" name="(\w+)" value="([^"]*)"', shown))
    assert carried == {"account": MAISON_LUNE, "filter": "unread", "q": "lea"}


def test_a_pinned_search_is_renamed_and_removed_without_a_script(agent: FlaskClient) -> None:
    assert click(agent, "/inbox/pins", htmx=False, name="Lamps", q="lamp").status_code == 303
    page = agent.get("/settings").text
    rename = re.search(r'action="(/inbox/pins/\d+/rename)"', page)
    assert rename
    assert click(agent, rename[1], htmx=False, name="Chairs").status_code == 303
    assert [name for name, _ in pinned(agent.get("/inbox").text)] == ["Chairs"]
    assert click(agent, rename[1].replace("rename", "remove"), htmx=False).status_code == 303
    assert pinned(agent.get("/inbox").text) == []
    assert "No pinned searches" in agent.get("/settings").text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "  "}, "must have a name of 1 to 40 characters"),
        ({"name": "x" * 41}, "must have a name of 1 to 40 characters"),
        ({"name": "Lamps"}, "You already have a pinned search “Lamps”"),
        ({"q": "", "filter": "all"}, "Search or choose a filter first"),
        ({"q": "x" * 201}, "at most 200 characters"),
        ({"filter": "nothing"}, "The filter must be one of"),
    ],
)
def test_what_cannot_be_pinned_is_explained(agent: FlaskClient, changed: dict[str, str], says: str) -> None:
    pin(agent)
    form = {"name": "Others", "q": "lamp", "filter": "all"} | changed
    answer = click(agent, "/inbox/pins", name=form["name"], q=form["q"], filter=form["filter"])
    assert answer.status_code == 422
    assert says in answer.headers["HX-Trigger"].encode().decode("unicode_escape")
    assert len(pinned(agent.get("/inbox").text)) == 1


def test_a_ninth_search_is_not_pinned(agent: FlaskClient) -> None:
    for number in range(8):
        pin(agent, f"Search {number}")
    answer = click(agent, "/inbox/pins", name="One more", q="lamp")
    assert answer.status_code == 422
    assert "Remove one in Settings" in answer.headers["HX-Trigger"]
    assert len(pinned(agent.get("/inbox").text)) == 8


def test_pinned_searches_of_others_are_neither_shown_nor_changed(app: Flask, agent: FlaskClient) -> None:
    pin(agent)
    rename = re.search(r"/inbox/pins/\d+/rename", agent.get("/settings").text)
    assert rename
    other = signed_in(app, Role.ADMIN)
    assert pinned(other.get("/inbox").text) == []
    assert click(other, rename[0], name="Mine").status_code == 404
    click(other, rename[0].replace("rename", "remove"))
    assert [name for name, _ in pinned(agent.get("/inbox").text)] == ["Lamps"]
    pin(other)  # names are each user's own
