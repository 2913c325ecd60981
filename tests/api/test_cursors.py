"""Cursors: signed, and valid for one list."""

from datetime import UTC, datetime

import pytest

from app import settings
from app.api import cursors
from app.api.cursors import ForeignCursor

PLACE = (datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC), 42)


def test_a_place_comes_back_as_it_was() -> None:
    sealed = cursors.seal(PLACE, "list", None)
    assert cursors.position(sealed, "list", None) == PLACE
    assert cursors.row(cursors.seal(7, "items"), "items") == 7
    assert (cursors.seal(None, "list"), cursors.position(None, "list")) == (None, None)


def test_another_list_another_key_and_another_letter_are_refused() -> None:
    sealed = cursors.seal(PLACE, "list", "unread")
    assert sealed is not None
    with settings.using(secret_key="x" * 40):
        elsewhere = cursors.seal(PLACE, "list", "unread")
    for cursor, of in (
        (sealed, ("list", None)),
        (elsewhere, ("list", "unread")),
        (sealed + "x", ("list", "unread")),
        ("é", ()),
    ):
        with pytest.raises(ForeignCursor):
            cursors.position(cursor, *of)
