"""The only module that reads the clock, so that tests can set the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import overload

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
YEAR_SECONDS = 365 * 86_400


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return the seconds of a clock that never goes back. Only differences are meaningful."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Block this thread for `seconds`."""
    time.sleep(seconds)


def from_timestamp(seconds: float) -> datetime:
    """Return the time `seconds` after the Unix epoch, aware, in UTC. Raises OverflowError, ValueError, OSError."""
    return datetime.fromtimestamp(seconds, UTC)


def microseconds(at: datetime) -> int:
    """Return how many microseconds after the Unix epoch an aware time is, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """Return the moment `number` microseconds after the Unix epoch, aware, in UTC; raises OverflowError."""
    return _EPOCH + number * _MICROSECOND


@overload
def rfc3339(at: datetime) -> str: ...
@overload
def rfc3339(at: None) -> None: ...
def rfc3339(at: datetime | None) -> str | None:
    """Return an aware time as text for API clients and scripts: RFC 3339, UTC, milliseconds, `Z`; None stays None."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
