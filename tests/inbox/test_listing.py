"""The conversation list: order, paging, filters, search and counts."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask import Flask
from sqlalchemy import update

from app import clock
from app.api.schemas import ConversationsQuery
from app.db import transaction
from app.errors import Invalid
from app.inbox import listing
from app.inbox.api_queries import FeedQuery
from app.inbox.listing import ListPage
from app.models.account import Account
from app.models.conversation import Conversation
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    CAMILLE,
    GHOST,
    LEA,
    MAISON_LUNE,
    UNKNOWN_PERSON,
    a_message_event,
    an_account,
    an_echo_event,
    deliver,
    named,
    people_wrote,
)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def page(account: Account, viewer: Viewer = OPERATOR, **wanted: object) -> ListPage:
    want = listing.parse_filter(**wanted)  # type: ignore[arg-type]  # as an address says it
    return listing.page(viewer, account.id, want, ig_account_id=MAISON_LUNE)


def shown(found: ListPage) -> list[str]:
    return [row.display.text for row in found.rows]


def cursor_of(found: ListPage) -> str:
    assert found.older
    return found.older.partition("after=")[2].replace("%2C", ",")


def test_the_newest_conversation_comes_first(account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    people_wrote(LEA, at=clock.now() + timedelta(seconds=1))
    named(account, LEA, "lea.moreau")
    assert shown(page(account)) == ["@lea.moreau", "@user_000033"]
    assert page(account).rows[0].unread_count == 2


def test_pages_follow_each_other_while_messages_arrive(account: Account) -> None:
    crowd = [str(10**15 + place) for place in range(100)]
    people_wrote(*crowd)
    first = page(account)
    people_wrote(LEA, crowd[0], at=clock.now() + timedelta(seconds=1))
    second = page(account, after=cursor_of(first))
    third = page(account, after=cursor_of(second))
    seen = [row.id for each in (first, second, third) for row in each.rows]
    assert len(seen) == len(set(seen)) == 99  # all but the one that jumped to the top meanwhile
    assert third.older is None


def test_conversations_of_one_moment_are_neither_lost_nor_doubled_between_pages(account: Account) -> None:
    now_ms = int(clock.now().timestamp() * 1000)
    deliver(*(a_message_event(str(10**15 + place), at_ms=now_ms) for place in range(90)))
    first = page(account)
    second = page(account, after=cursor_of(first))
    third = page(account, after=cursor_of(second))
    seen = [row.id for each in (first, second, third) for row in each.rows]
    assert len(seen) == len(set(seen)) == 90


def test_what_follows_keeps_the_account_the_filter_and_the_search(account: Account) -> None:
    people_wrote(*(str(10**15 + place) for place in range(50)))
    older = parse_qs((page(account, filter_="unknown", q="10000000").older or "").partition("?")[2])
    assert (older["account"], older["filter"], older["q"]) == ([MAISON_LUNE], ["unknown"], ["10000000"])
    assert older["limit"] == ["40"]


def test_a_row_says_who_wrote_last_and_whether_it_is_the_open_one(account: Account) -> None:
    for each in (CAMILLE, LEA):
        people_wrote(each)
    deliver(an_echo_event(LEA, "Avec plaisir.", at_ms=int(clock.now().timestamp() * 1000) + 1000))
    lea, camille = listing.page(
        OPERATOR, account.id, listing.parse_filter(), ig_account_id=MAISON_LUNE, selected=1
    ).rows
    assert (lea.outgoing, lea.preview, lea.unread_count) == (True, "Avec plaisir.", 0)
    assert (camille.outgoing, camille.selected, lea.selected) == (False, True, False)


def test_a_poll_renders_as_many_rows_as_were_loaded(account: Account) -> None:
    people_wrote(*(str(10**15 + place) for place in range(90)))
    assert page(account, after=cursor_of(page(account))).limit == 80
    assert len(page(account, limit=80).rows) == 80
    assert len(page(account, limit=10**6).rows) == 90


def test_filters_and_counts_agree(account: Account) -> None:
    people_wrote(LEA, CAMILLE, GHOST)
    named(account, LEA, "lea.moreau")
    counted = listing.counts(OPERATOR, account.id)
    assert (counted.unread, counted.unknown) == (3, 2)
    assert shown(page(account, filter_="unknown")) == ["@user_000404", "@user_000033"]
    assert len(page(account, filter_="unread").rows) == 3


def test_counts_stop_at_a_hundred(account: Account) -> None:
    people_wrote(*(str(10**15 + place) for place in range(120)))
    assert listing.counts(OPERATOR, account.id) == listing.Counts(100, 100, 100)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lea", "@lea.moreau"),
        ("@LEA", "@lea.moreau"),
        ("moreau", "@lea.moreau"),
        ("roux", "Camille Roux"),
        ("883201", "@user_883201"),
        ("user_883201", "@user_883201"),
        (UNKNOWN_PERSON, "@user_883201"),
    ],
)
def test_search_looks_at_usernames_names_and_ids(account: Account, q: str, found: str) -> None:
    people_wrote(LEA, CAMILLE, UNKNOWN_PERSON)
    named(account, LEA, "lea.moreau", "Léa Moreau")
    named(account, CAMILLE, None, "Camille Roux")
    assert shown(page(account, q=q)) == [found]


@pytest.mark.parametrize("q", ["%", "_", "a%", "\\"])
def test_wildcards_are_only_characters(account: Account, q: str) -> None:
    people_wrote(LEA)
    named(account, LEA, "lea.moreau")
    assert shown(page(account, q=q)) == []


def test_accounts_that_a_viewer_may_not_see_have_no_rows(account: Account) -> None:
    people_wrote(LEA)
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({account.id + 1}))
    assert page(account, elsewhere).rows == ()


@pytest.mark.parametrize("wanted", [{"filter_": "odd"}, {"limit": 0}, {"q": "x" * 201}, {"after": "x"}])
def test_wrong_query_parameters_are_refused(app: Flask, wanted: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        listing.parse_filter(**wanted)  # type: ignore[arg-type]  # as an address says it


def test_the_open_row_keeps_its_place_in_a_filtered_list(account: Account) -> None:
    """Reading it took it out of the filter; it is on the page where it belongs, and on no other."""
    first_ms = int(clock.now().timestamp() * 1000) - 100_000
    crowd = [f"15300000000{number:05d}" for number in range(listing.ROWS + 5)]
    deliver(*(a_message_event(who, at_ms=first_ms + place) for place, who in enumerate(crowd)))
    ids = [row.id for row in page(account, limit=100).rows]
    second, last = ids[1], ids[-1]
    with transaction.write() as tx:
        tx.execute(update(Conversation).where(Conversation.id.in_((second, last))).values(unread_count=0))

    def unread(selected: int, **wanted: Any) -> ListPage:
        want = listing.parse_filter(filter_="unread", **wanted)
        return listing.page(OPERATOR, account.id, want, ig_account_id=MAISON_LUNE, selected=selected)

    newest = unread(second)
    assert [row.id for row in newest.rows] == ids[: listing.ROWS + 1]
    assert newest.older is not None
    after = parse_qs(newest.older.partition("?")[2])["after"][0]
    assert [row.id for row in unread(second, after=after).rows] == ids[listing.ROWS + 1 : -1]
    assert last not in [row.id for row in unread(last).rows]
    assert unread(last, after=after).rows[-1].id == last
    assert unread(second, q="nothing that anyone wrote").rows == ()


def test_each_filter_is_offered_in_the_list_and_by_the_api() -> None:
    pane = (Path(__file__).parents[2] / "templates/inbox/_list_pane.html").read_text()
    assert [name for name in listing.FILTERS if f'("{name}", ' not in pane] == []
    assert set(listing.FILTERED) <= {each.name for each in fields(FeedQuery)}
    assert {name.replace("_", "") for name in listing.FILTERED} <= {
        name.lower() for name in ConversationsQuery.model_fields
    }
