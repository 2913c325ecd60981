"""IDs in paths."""

import pytest

from app.api import row_ids
from app.errors import NotFound


@pytest.mark.parametrize("written", ["", "x", "-1", "1.0", "٣", "1" * 19, "0x1"])
def test_what_cannot_be_an_id_is_not_there(written: str) -> None:
    assert row_ids.number("42", "job") == 42
    with pytest.raises(NotFound):
        row_ids.number(written, "job")
