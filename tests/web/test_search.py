"""Searching in the inbox: rows show the match, and threads open at it."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.inbox import thread
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.models.user import User
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, RUI, a_message_event, an_account, deliver, named
from tests.web.browsing import part, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def agent(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app)


def said(who: str, *texts: str) -> None:
    """Store messages of a contact, a minute apart."""
    began = clock.now() - timedelta(days=1)
    events = []
    for number, text in enumerate(texts):
        event = a_message_event(who, text, mid=f"{who}-{number}")
        event["timestamp"] = int((began + timedelta(minutes=number)).timestamp() * 1000)
        events.append(event)
    deliver(*events)


def listed(agent: FlaskClient, q: str) -> str:
    return part(agent, f"/inbox/list?q={quote(q)}").text


def first_id(text: str) -> int:
    db.session.rollback()
    return int(db.session.execute(select(Message.id).where(Message.text == text)).scalar_one())


def conversation_of(who: str) -> int:
    db.session.rollback()
    return int(db.session.execute(select(Conversation.id).where(Conversation.ig_participant_id == who)).scalar_one())


def test_a_row_shows_the_matching_message_with_its_words_marked(agent: FlaskClient) -> None:
    said(LEA, "Is the Linen <lamp> still there?", "Thank you")
    page = listed(agent, "linen")
    assert "Is the <mark>Linen</mark> &lt;lamp&gt; still there?" in page
    assert "Thank you" not in page


def test_a_long_message_is_shown_from_near_its_first_match(agent: FlaskClient) -> None:
    said(LEA, "word " * 100 + "zebra crossing")
    assert re.search(r"<bdi>…(word )+<mark>zebra</mark> crossing</bdi>", listed(agent, "zebra"))


def test_a_contact_found_by_name_keeps_the_last_message_and_has_the_name_marked(
    agent: FlaskClient, account: Account
) -> None:
    said(LEA, "Hello", "Thank you")
    named(account, LEA, "lea.moreau")
    page = listed(agent, "@lea")
    assert "@<mark>lea</mark>.moreau" in page
    assert "Thank you" in page


def test_a_row_leads_to_its_message_also_without_scripts(agent: FlaskClient) -> None:
    said(LEA, "zebra", *(f"later {number}" for number in range(thread.MESSAGES + 5)))
    found = first_id("zebra")
    href = re.search(r'href="([^"]+at=[^"]+)"', listed(agent, "zebra"))
    assert href
    address, _, fragment = href[1].replace("&amp;", "&").partition("#")
    assert fragment == f"m-{found}"
    page = agent.get(address).text
    assert re.search(rf'id="m-{found}"[^>]* data-found', page)
    assert "<mark>zebra</mark>" in page
    assert "later 54" in page  # within reach of the newest messages: they are all there


def test_a_thread_that_opens_far_back_has_older_and_newer_pages(
    agent: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "MOST_MESSAGES", 50)
    said(LEA, *(f"early {number}" for number in range(60)), "zebra", *(f"later {number}" for number in range(120)))
    found, address = first_id("zebra"), f"/inbox/{conversation_of(LEA)}?q=zebra"
    page = agent.get(f"{address}&at={found}").text
    assert re.search(rf'id="m-{found}"[^>]* data-found', page)
    assert "later 119" not in page
    older, newer = (re.search(rf'class="thread-{way}"[^>]*href="([^"]+)"', page) for way in ("older", "newer"))
    assert older
    assert newer
    assert "early 5<" in agent.get(older[1].replace("&amp;", "&")).text
    assert "later 30<" in agent.get(newer[1].replace("&amp;", "&")).text


def test_the_poll_of_such_a_thread_keeps_its_place_and_its_mark(
    agent: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "MOST_MESSAGES", 50)
    said(LEA, "zebra", *(f"later {number}" for number in range(120)))
    address = f"/inbox/{conversation_of(LEA)}?q=zebra&at={first_id('zebra')}"
    page = agent.get(address).text
    path = re.search(r'data-poll="thread"[^>]*hx-get="([^"]+)"', page)
    assert path
    polled = part(agent, path[1].replace("&amp;", "&"), HX_Current_URL=f"http://localhost{address}")
    assert "<mark>zebra</mark>" in polled.text
    assert "later 119" not in polled.text


def test_a_message_of_another_conversation_is_no_place_to_open_at(agent: FlaskClient) -> None:
    said(LEA, "zebra")
    said(RUI, "Hello")
    page = agent.get(f"/inbox/{conversation_of(RUI)}?q=zebra&at={first_id('zebra')}")
    assert page.status_code == 200
    assert "data-found" not in page.text


def test_nothing_found_says_which_operator_to_drop(agent: FlaskClient) -> None:
    said(LEA, "zebra")
    page = listed(agent, "zebra kind:photo")
    assert "Search without <bdi>kind:photo</bdi>" in page
    assert re.search(r'href="/inbox\?account=\d+&amp;q=zebra"', page)


def test_an_unknown_operator_is_searched_as_words_and_said(agent: FlaskClient) -> None:
    said(LEA, "the color:red one")
    page = listed(agent, "color:red")
    assert "“color:” is not a search operator" in page
    assert "<mark>color:red</mark>" in page


def test_a_hit_by_an_earlier_username_says_until_when(agent: FlaskClient, account: Account) -> None:
    said(LEA, "Hello")
    named(account, LEA, "old.lea", at=clock.now() - timedelta(days=3))
    named(account, LEA, "new.lea")
    for q in ("from:@old.lea", "old.lea"):
        assert re.search(r"was <bdi>@old\.lea</bdi> until", listed(agent, q)), q


def test_a_username_that_moved_is_explained_on_both_identities(agent: FlaskClient, account: Account) -> None:
    said(LEA, "Hello")
    said(RUI, "Hello")
    named(account, LEA, "lamp.shop", at=clock.now() - timedelta(days=3))
    named(account, LEA, "lea.moreau", at=clock.now() - timedelta(days=2))
    named(account, RUI, "lamp.shop")
    ids = {row.ig_participant_id: row.id for row in db.session.scalars(select(Identity))}
    assert "belonged to" in agent.get(f"/identities/{ids[RUI]}").text
    assert "now belongs to" in agent.get(f"/identities/{ids[LEA]}").text


@pytest.mark.parametrize("filter_", ["all", "unread", "needs_reply"])
def test_a_search_lists_the_account_that_it_names_and_follows_it(agent: FlaskClient, filter_: str) -> None:
    an_account(ATELIER_NORD)
    said(LEA, "linen")
    event = a_message_event(CAMILLE, "linen", recipient=ATELIER_NORD)
    deliver(event, ig_account_id=ATELIER_NORD)
    address = f"account={MAISON_LUNE}&filter={filter_}&q={quote('in:@atelier.nord')}"
    page = agent.get(f"/inbox?{address}").text
    assert f'id="c{conversation_of(CAMILLE)}"' in page
    assert f'id="c{conversation_of(LEA)}"' not in page
    opened = agent.get(f"/inbox/{conversation_of(CAMILLE)}?{address}").text
    assert f'id="c{conversation_of(CAMILLE)}"' in opened
    event = a_message_event(RUI, "silk", recipient=ATELIER_NORD)
    deliver(event, ig_account_id=ATELIER_NORD)
    assert (
        "If-None-Match" not in page.partition('id="conv-list"')[2].partition(">")[0]
    )  # so that every poll is answered
    assert f'id="c{conversation_of(RUI)}"' in part(agent, f"/inbox/list?{address}").text


def test_another_accounts_messages_are_not_found_by_an_operator(app: Flask, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    said(LEA, "linen")
    event = a_message_event(CAMILLE, "linen", recipient=ATELIER_NORD)
    deliver(event, ig_account_id=ATELIER_NORD)
    limited = signed_in(app)
    with transaction.write() as tx:
        tx.execute(update(User).values(account_ids=[account.id]))
    for q in ("linen", "kind:text", "has:link", "after:2020", f"in:{ATELIER_NORD}", f"linen in:{ATELIER_NORD}"):
        page = limited.get(f"/inbox?q={quote(q)}").text
        assert f'id="c{conversation_of(CAMILLE)}"' not in page, q
    assert limited.get(f"/inbox?account={other.ig_account_id}&q=linen").status_code == 404


def test_operators_are_offered_by_the_field(agent: FlaskClient) -> None:
    page = agent.get("/inbox").text
    for each in ("is:unread", "kind:photo", "has:link", "before:yesterday"):
        assert f'<option value="{each}">' in page


PIECES = (
    *("is:", "kind:", "from:", "in:@", "on:", "before:", "-", '"', "2026-13", "9999", "%", "_", "\\", "'", "*"),
    *("\u202e", "語", "مر", "a", " ", ":"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(q=st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_search_fails(agent: FlaskClient, q: str) -> None:
    said(LEA, "linen")
    response: Any = part(agent, f"/inbox/list?q={quote(q)}")
    assert response.status_code == 200
