"""A clock that a test moves; Redis and PostgreSQL keep their own."""

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the time of the clock (aware UTC)."""
        return self.at

    def forward(self, **duration: float) -> None:
        """Move the clock forward; arguments are those of timedelta."""
        self.at += timedelta(**duration)
