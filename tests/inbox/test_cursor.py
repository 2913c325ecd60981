"""Cursors: exact to the microsecond in both directions; any other text is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.inbox import cursor

times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


@given(times, st.integers(1, 10**17))
def test_a_cursor_names_its_row_exactly(at: datetime, row_id: int) -> None:
    assert cursor.parse_cursor(cursor.make_cursor(at, row_id)) == (at, row_id)


@pytest.mark.parametrize("words", ["", "1", "1,", ",1", "1,2,3", "-1,2", "1.5,2", "٣,1", "9" * 17 + ",1", "1,2 OR 1=1"])
def test_anything_else_is_refused(words: str) -> None:
    with pytest.raises(Invalid):
        cursor.parse_cursor(words)
