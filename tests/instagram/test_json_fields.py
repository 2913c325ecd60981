"""Strict reading of responses, field by field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.instagram import json_fields
from app.instagram.errors import GraphAPIError


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_none(body: bytes) -> None:
    assert json_fields.load_object(body) is None or isinstance(json_fields.load_object(body), dict)


@pytest.mark.parametrize("value", [7, True, [], {}, 1.5])
def test_a_text_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(GraphAPIError):
        json_fields.optional_text({"x": value}, "x")


@pytest.mark.parametrize("holder", [{}, {"x": None}, {"x": ""}])
def test_a_required_text_must_not_be_empty(holder: dict[str, object]) -> None:
    with pytest.raises(GraphAPIError):
        json_fields.required_text(holder, "x")


def test_characters_that_cannot_be_stored_are_replaced() -> None:
    assert json_fields.optional_text({"x": "a\x00b\udc00"}, "x") == "a\ufffdb\ufffd"


def test_times_must_have_a_time_zone() -> None:
    assert json_fields.required_time({"x": "2026-03-10T09:20:05+0000"}, "x") == datetime(
        2026, 3, 10, 9, 20, 5, tzinfo=UTC
    )
    with pytest.raises(GraphAPIError):
        json_fields.required_time({"x": "2026-03-10T09:20:05"}, "x")


def test_an_absent_object_is_empty_but_an_absent_list_is_refused() -> None:
    assert json_fields.optional_object({}, "x") == {}
    with pytest.raises(GraphAPIError):
        json_fields.required_objects({}, "x")
