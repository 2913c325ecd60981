"""Pages of sorted lists: where the next one begins, that only one place decides it, and exact cursors."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.db.paging import fetch_page, make_cursor, parse_cursor
from app.errors import Invalid
from app.models.conversation import Conversation
from tests.factories import CAMILLE, LEA, UNKNOWN_PERSON, an_account, people_wrote

TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
APP = Path(__file__).parents[2] / "app"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("limit", "pages"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (4, [3])])
def test_pages_hold_each_row_once_and_the_last_one_says_so(limit: int, pages: list[int]) -> None:
    an_account()
    people_wrote(LEA, CAMILLE, UNKNOWN_PERSON)
    found, sizes, after = select(Conversation.id).order_by(Conversation.id), [], 0
    while True:
        rows, last = fetch_page(found.where(Conversation.id > after), limit)
        sizes.append(len(rows))
        if last is None:
            break
        assert last is rows[-1]
        after = last.id
    assert sizes == pages


def test_a_page_of_nothing_is_the_last(app: Flask) -> None:
    assert fetch_page(select(Conversation.id), 10) == ([], None)


def test_only_one_place_asks_for_one_row_more_than_a_page_holds() -> None:
    one_more = re.compile(r"\.limit\(limit \+ 1\b|\.limit\([^()]*\+ 1\)")
    asking = [path.relative_to(APP).as_posix() for path in APP.rglob("*.py") if one_more.search(path.read_text())]
    assert asking == ["db/paging.py"]


@given(TIMES, st.integers(1, 10**17))
def test_a_cursor_names_its_row_exactly(at: datetime, row_id: int) -> None:
    assert parse_cursor(make_cursor(at, row_id)) == (at, row_id)


@pytest.mark.parametrize("words", ["", "1", "1,", ",1", "1,2,3", "-1,2", "1.5,2", "٣,1", "9" * 17 + ",1", "1,2 OR 1=1"])
def test_anything_else_is_refused(words: str) -> None:
    with pytest.raises(Invalid):
        parse_cursor(words)
