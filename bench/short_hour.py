"""`python -m bench.short_hour SECONDS …`: any `nametag` command with an API call budget whose hour lasts SECONDS."""

import sys

from app.calls import budget
from app.cli.main import main

HOUR_SECONDS = 3600


def shorten(seconds: int) -> None:
    """Let the hour of this process's budget last `seconds`; its other durations shrink in proportion."""
    part = seconds / HOUR_SECONDS
    budget.WINDOW_SECONDS = seconds + (budget.WINDOW_SECONDS - HOUR_SECONDS)
    budget.SLOW_SECONDS = max(1, round(budget.SLOW_SECONDS * part))
    budget.USAGE_SECONDS = max(1, round(budget.USAGE_SECONDS * part))


if __name__ == "__main__":
    shorten(int(sys.argv.pop(1)))
    main()
