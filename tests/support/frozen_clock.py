"""A clock whose frozen_clock a test moves; Redis and PostgreSQL keep their own."""

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the moment the frozen_clock show."""
        return self.at

    def forward(self, **duration: float) -> None:
        """Move the frozen_clock by `duration`, given as timedelta takes it."""
        self.at += timedelta(**duration)
