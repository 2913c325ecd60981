"""The clock, and the format of times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app import clock


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2026, 11, 20, 12, 0, 0, 1999, tzinfo=UTC), "2026-11-20T12:00:00.001Z"),
        (datetime(2026, 11, 20, 12, 0, tzinfo=UTC), "2026-11-20T12:00:00.000Z"),
        (datetime(2026, 11, 20, 14, 0, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T12:00:00.000Z"),
        (None, None),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(at: datetime | None, written: str | None) -> None:
    assert clock.rfc3339(at) == written
