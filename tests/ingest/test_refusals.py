"""Refused deliveries are counted; the log is told of a flood once a second."""

import logging

import pytest

from app import clock
from app.ingest import refusals


def test_each_is_counted_and_a_flood_is_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    seconds = iter([1000.0, 1000.2, 1000.9, 1001.1])
    monkeypatch.setattr(clock, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(refusals, "_told_at", float("-inf"))
    first = refusals.one_more()
    assert [refusals.one_more() for _ in range(3)] == [first + 1, first + 2, first + 3]
    told = [vars(record)["refused"] for record in caplog.records]
    assert told == [first, first + 3]
