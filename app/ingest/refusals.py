"""Deliveries that Meta did not sign: counted, never stored, and told of at most once a second.

No database and no Redis is asked, so that a flood of them costs nothing but its own answers (reliability.md S8).
"""

import logging
from itertools import count

from app import clock

logger = logging.getLogger(__name__)

TOLD_EVERY_SECONDS = 1.0

_numbers = count(1)
_told_at = float("-inf")


def one_more() -> int:
    """Count one refused delivery and return how many this process has refused; the log has the number too."""
    global _told_at
    refused, now = next(_numbers), clock.monotonic()
    if now - _told_at >= TOLD_EVERY_SECONDS:
        _told_at = now
        logger.warning("deliveries were refused: a signature is missing or wrong", extra={"refused": refused})
    return refused
