"""Strangers' strings made harmless at the door, and shortened for display."""

import re
import unicodedata

MESSAGE_CHARACTERS = 20_000
NAME_CHARACTERS = 80

# Characters that turn, hide or imitate text (reliability.md S49): C0 and C1 controls but for tab and line feed,
# bidirectional controls, zero-width, filling and invisible format characters, tags, and what UTF-8 cannot carry.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_JOINERS = "\u200c\u200d"
# Scripts whose letters are drawn in another way beside a joiner, as the names of their characters begin.
_JOINED_SCRIPTS = frozenset(
    (
        *("ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA"),
        *("TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "BALINESE", "JAVANESE"),
    )
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[\s\u2800]+")  # the last one is a Braille letter without a dot
_MARKS_IN_A_ROW = 4
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_NUMBER = re.compile(r" *[0-9][0-9.,:/-]*(?:e[0-9]+)? *", re.IGNORECASE)


def storable(value: str) -> str:
    """Return `value` with NUL and lone surrogates replaced, so that every database and page can carry it."""
    return _SURROGATES.sub("\ufffd", value).replace("\x00", "\ufffd")


def clean_message(value: str) -> str:
    """Return a message text fit to store and show: control characters gone, line breaks kept."""
    text = storable(value).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text)


def clean_name(value: object) -> str | None:
    """Return a name or username made harmless (one line, NFC, at most 80 characters), or None if nothing is left."""
    if not isinstance(value, str):
        return None
    name = _INVISIBLE.sub("", _CONTROLS.sub("", storable(value)))
    name = unicodedata.normalize("NFC", _SPACES.sub(" ", name)).strip()
    return _joined_where_needed(_few_marks(name)[:NAME_CHARACTERS]).strip() or None


def shorten(value: str, characters: int) -> str:
    """Return `value` on one line with at most `characters` characters, an ellipsis marking the cut."""
    line = _SPACES.sub(" ", value).strip()
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def for_terminal(value: str) -> str:
    """Return `value` with every character escaped that a terminal could act upon."""
    return "".join(
        c if c.isprintable() and not _INVISIBLE.match(c) else c.encode("unicode_escape").decode() for c in value
    )


def for_csv(value: str) -> str:
    """Return `value` as a cell that every spreadsheet keeps as text.

    An apostrophe stops formulas. A tab, invisible in a cell, stops numbers and dates: Excel rounds IDs to 15 digits.
    """
    cell = value.replace("\x00", "")
    if _NUMBER.fullmatch(cell):
        return f"\t{cell}"
    visible = _INVISIBLE.sub("", cell).lstrip(" ")
    begin = visible[:1], visible.lstrip()[:1]  # a tab or a line break counts, and so does what stands behind it
    return f"'{cell}" if visible and not _FORMULA.isdisjoint(begin) else cell


def from_csv(cell: str) -> str:
    """Return the text that `for_csv` wrote as `cell`; other cells are returned unchanged."""
    return cell[1:] if for_csv(cell[1:]) == cell else cell


def _few_marks(value: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in value:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def _joined_where_needed(value: str) -> str:
    if not any(joiner in value for joiner in _JOINERS):
        return value
    around = zip(f" {value}", value, f"{value[1:]} ", strict=False)
    return "".join(c for before, c, after in around if c not in _JOINERS or _joins(before, c, after))


def _joins(before: str, joiner: str, after: str) -> bool:
    if _script(before) in _JOINED_SCRIPTS:
        return _script(after) == _script(before)
    pictures = unicodedata.category(after) == "So" and unicodedata.category(before) in ("So", "Sk", "Mn")
    return joiner == "\u200d" and pictures  # an emoji made of several; Sk are skin tones, Mn asks for colour


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
