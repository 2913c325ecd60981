"""How ids and times are written."""

from datetime import UTC, datetime

import pytest

from app.api import words
from app.errors import NotFound


def test_times_are_rfc_3339_in_utc() -> None:
    assert words.time(datetime(2026, 11, 20, 12, 0, 0, 1000, tzinfo=UTC)) == "2026-11-20T12:00:00.001Z"
    assert words.time(None) is None


@pytest.mark.parametrize("written", ["", "x", "-1", "1.0", "٣", "1" * 19, "0x1"])
def test_what_cannot_be_an_id_is_not_there(written: str) -> None:
    assert words.number("42", "job") == 42
    with pytest.raises(NotFound):
        words.number(written, "job")
