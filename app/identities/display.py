"""Display names and avatars of contacts: the one rule for pages, API, command line and exports."""

import hashlib
import re
from dataclasses import dataclass

from app.text import is_name

SHORT_DIGITS = 6
SHORT_PREFIX = "user_"  # before the digits of a short ID
HUES = 12
CELLS = 5  # per side of an identicon; the right half mirrors the left
_HANDLE = re.compile(r"[A-Za-z0-9._]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DisplayName:
    """How a contact is shown: `text` is complete, `second` is the name that lists show after a username."""

    text: str
    username: str | None
    name: str | None
    known: bool

    @property
    def second(self) -> str | None:
        """The name, if it differs from the username; else None."""
        return self.name if self.username and self.name and self.name.lower() != self.username.lower() else None


@dataclass(frozen=True, slots=True)
class Avatar:
    """The picture of a contact. Without one: initials on a hue, or an identicon for an unknown contact.

    `pattern` is an SVG path in a 5 × 5 box; `picture_url` is a path of Nametag, never a URL of Meta.
    """

    picture_url: str | None
    initials: str | None
    hue: int
    pattern: str | None


def display_name(
    ig_participant_id: str, username: str | None, name: str | None, *, alike: int | None = 0
) -> DisplayName:
    """Return the display name of a contact: @username, else the name, else the short ID.

    Blank values and placeholders of earlier systems count as missing. An impossible username is shown as a name.
    `alike` is how many digits of the ID follow a name that is confusable with another; 0 or None for none.
    """
    apart = f" · {ig_participant_id[-alike:]}" if alike else ""
    handle, words = _present(username), _present(name)
    if handle and not _HANDLE.fullmatch(handle):
        handle, words = None, words or handle
    if handle:
        return DisplayName(f"@{handle}{apart}", handle, words, known=True)
    if words:
        return DisplayName(f"{words}{apart}", None, words, known=True)
    return DisplayName(f"@{SHORT_PREFIX}{short_id(ig_participant_id)}", None, None, known=False)


def short_id(ig_participant_id: str) -> str:
    """Return the last digits of a contact's ID, which stand for an unknown contact."""
    return ig_participant_id[-SHORT_DIGITS:]


def search_words(q: str) -> str:
    """Return a search without what `display_name` adds, so that a pasted @username or short ID finds its contact."""
    return q.removeprefix("@").removeprefix(SHORT_PREFIX)


def avatar(ig_participant_id: str, shown: DisplayName, picture_url: str | None = None) -> Avatar:
    """Return the avatar of a contact who is shown as `shown`."""
    words = shown.name or shown.username
    letters = initials(words) if words else None
    return Avatar(picture_url, letters or None, hue(ig_participant_id), None if letters else pattern(ig_participant_id))


def initials(words: str) -> str:
    """Return the first letters of the first and the last word."""
    parts = [part for part in re.split(r"[\s._]+", words) if part]
    chosen = [parts[0], parts[-1]] if len(parts) > 1 else parts
    return "".join(part[0] for part in chosen if part[0].isalnum()).upper()


def hue(ig_participant_id: str) -> int:
    """Return the hue of a contact's initials, one of 0 to 11."""
    return int.from_bytes(hashlib.blake2s(ig_participant_id.encode(), digest_size=2).digest()) % HUES


def pattern(ig_participant_id: str) -> str:
    """Return the identicon of an unknown contact, as an SVG path in a 5 × 5 box."""
    bits = int.from_bytes(hashlib.blake2s(ig_participant_id.encode(), digest_size=4).digest())
    half = [(column, row) for row in range(CELLS) for column in range((CELLS + 1) // 2)]
    filled = [cell for index, cell in enumerate(half) if bits >> index & 1]
    cells = sorted({(x, row) for column, row in filled for x in (column, CELLS - 1 - column)})
    return "".join(f"M{x} {y}h1v1h-1z" for x, y in cells)


def _present(value: str | None) -> str | None:
    return value.strip() if value and is_name(value) else None
