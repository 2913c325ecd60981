"""Refused deliveries are counted; the log is told of a flood once a second."""

import logging

import pytest

from app import clock
from app.ingest import refusals


def test_each_is_counted_and_a_flood_is_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    began = clock.monotonic() + 10  # later than any refusal of another test
    seconds = iter([began, began + 0.2, began + 0.9, began + 1.1])
    monkeypatch.setattr(clock, "monotonic", lambda: next(seconds))
    first = refusals.one_more()
    assert [refusals.one_more() for _ in range(3)] == [first + 1, first + 2, first + 3]
    told = [vars(record)["refused"] for record in caplog.records]
    assert told == [first, first + 3]
