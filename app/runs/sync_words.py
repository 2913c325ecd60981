"""What a conversation sync will do, and what it has done, in words: one wording for pages, API and command line."""

from collections.abc import Mapping

from app.db.types import member
from app.labels import label
from app.models.run import LossCause
from app.text import plural


def result(conversations: int, found: int, lost: Mapping[str, int]) -> str:
    """Return what a sync read, stored and could not fetch, without a period; `lost` counts by LossCause."""
    parts = [plural(conversations, "conversation"), plural(found, "new message")]
    missing = sum(lost.values())
    return ", ".join((*parts, f"{missing:,} that Meta does not give: {losses(lost)}")) if missing else ", ".join(parts)


def losses(lost: Mapping[str, int]) -> str:
    """Return the messages that could not be fetched, by cause: 3 older than the newest 20 of …, 2 unsent."""
    return ", ".join(f"{number:,} {label(member(LossCause, cause))}" for cause, number in lost.items() if number)
