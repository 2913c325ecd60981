"""Sanitize untrusted strings (control, bidirectional and invisible characters), shorten them, and count nouns."""

import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

import regex

MESSAGE_CHARACTERS = 20_000
URL_CHARACTERS = 4_000
NAME_CHARACTERS = 80
SEARCH_CHARACTERS = 200
ROW_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)  # an ID of ours, or a count: fits into 64 bits

# Characters that turn, hide or imitate text: C0 and C1 controls except tab and line feed, bidirectional controls,
# zero-width, filling and invisible format characters, tags, and surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
)
# Tags are invisible, except in the flag of a region: a black flag, three to six tags, the closing tag.
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_INVISIBLE = re.compile(f"({_REGION_FLAG})|[{_HIDDEN}]")  # replaced by its group, the flag
_VISIBLE = regex.compile(f"[^\\s{_HIDDEN}\\p{{Default_Ignorable_Code_Point}}\\x00-\\x1f\\x7f-\\x9f\u2800]")
_CLUSTER = regex.compile(r"\X")  # a user-perceived character (Unicode Standard Annex 29)
_WEB_URL = re.compile(f'(?i:https?)://[^\\s\\\\"<>\\x00-\\x20\\x7f-\\x9f{_HIDDEN}]+')
_JOINERS = "\u200c\u200d"
# Scripts whose letters look different next to a joiner, by the first word of their characters' names.
_JOINED_SCRIPTS = frozenset(
    (
        *("ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA"),
        *("TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "BALINESE", "JAVANESE"),
    )
)
# Written by Instagram and older systems for a missing name. A username has no space, so "Instagram User" is none.
_PLACEHOLDER = re.compile(r"(?i)unknown(_.*)?|none|null|instagram user")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[\s\u2800]+")  # the last one is the blank Braille pattern
_MARKS_IN_A_ROW = 4
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_NUMBER = re.compile(r" *[0-9][0-9.,:/-]*(?:e[0-9]+)? *", re.IGNORECASE)


def storable(value: str) -> str:
    """Return `value` with NUL and lone surrogates replaced, so that every database and page can store it."""
    return _SURROGATES.sub("\ufffd", value).replace("\x00", "\ufffd")


def clean_message(value: str) -> str:
    """Return a message text without control characters; line breaks stay."""
    text = storable(value).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text)


def clean_name(value: object, characters: int = NAME_CHARACTERS) -> str | None:
    """Return a sanitized name or username (one line, NFC, at most `characters`), None if nothing is left."""
    if not isinstance(value, str):
        return None
    name = _INVISIBLE.sub(r"\1", _CONTROLS.sub("", storable(value)))
    name = unicodedata.normalize("NFC", _SPACES.sub(" ", name)).strip()
    return _joined_where_needed(clip(_few_marks(name), characters)).strip() or None


def clean_emoji(value: object) -> str | None:
    """Return the first user-perceived character of `value`, sanitized, None if there is none."""
    found = _CLUSTER.match(clean_name(value) or "")
    return found[0] if found else None


def is_blank(value: str) -> bool:
    """Return whether `value` has no visible character."""
    return not _VISIBLE.search(value)


def web_url(value: object) -> str | None:
    """Return `value` if it is a safe http or https URL, else None.

    A URL with a user name is not safe: it looks like one host and opens another.
    """
    if not isinstance(value, str) or len(value) > URL_CHARACTERS or not _WEB_URL.fullmatch(storable(value)):
        return None
    parts = split_url(value)
    return storable(value) if parts and parts.hostname and "@" not in parts.netloc else None


def clip(value: str, characters: int) -> str:
    """Return the beginning of `value`, at most `characters` code points, without splitting a user-perceived character.

    A single character that is longer is split.
    """
    if len(value) <= characters:
        return value
    end = 0
    for cluster in _CLUSTER.finditer(value, endpos=characters + 1):
        if cluster.end() > characters:
            break
        end = cluster.end()
    return value[: end or characters]


def is_name(value: str | None) -> bool:
    """Return whether `value` is a name: neither blank nor a placeholder such as `unknown` or `UNKNOWN_17`."""
    bare = (value or "").strip().strip("@ ")  # a bare "@", or one before a placeholder, is not a name
    return bool(bare) and not _PLACEHOLDER.fullmatch(bare)


def real_name(value: object) -> str | None:
    """Return `clean_name(value)`, None for a placeholder. For usernames and names that are stored."""
    name = clean_name(value)
    return name if is_name(name) else None


def shorten(value: str, characters: int) -> str:
    """Return `value` on one line with at most `characters` code points, with an ellipsis if it was cut.

    Invisible characters at its beginning are left out if nothing else would remain.
    """
    line = _SPACES.sub(" ", value).strip()
    visible = _VISIBLE.search(line)
    if visible and visible.start() >= characters - 1:
        line = line[visible.start() :]
    return line if len(line) <= characters else clip(line, characters - 1).rstrip() + "…"


def grouped(number: int, thousands: str) -> str:
    """Return a number with the separator `thousands` between thousands."""
    return f"{number:,}".replace(",", thousands)


def plural(number: int, noun: str, nouns: str | None = None, *, thousands: str = "") -> str:
    """Return a number with its noun: 1 job, 2 jobs. `nouns` is an irregular plural; `thousands` is for `grouped`."""
    return f"{grouped(number, thousands)} {noun if number == 1 else nouns or f'{noun}s'}"


def camel_case(name: str) -> str:
    """Return a name of Python as the API has it: `sent_at` becomes `sentAt`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def for_terminal(value: str) -> str:
    """Return `value` with all characters escaped that a terminal could act upon."""
    return "".join(
        c if c.isprintable() and not _INVISIBLE.match(c) else c.encode("unicode_escape").decode() for c in value
    )


def escape_invisible(value: str) -> str:
    """Return raw text with all control and invisible characters escaped, except line breaks."""
    return "\n".join(map(for_terminal, value.split("\n")))


def for_csv(value: str) -> str:
    """Return `value` as a cell that every spreadsheet keeps as text.

    An apostrophe stops formulas. A tab, invisible in a cell, stops numbers and dates: Excel rounds IDs to 15 digits.
    """
    cell = value.replace("\x00", "")
    if _NUMBER.fullmatch(cell):
        return f"\t{cell}"
    visible = _INVISIBLE.sub(r"\1", cell).lstrip(" ")
    begin = (
        visible[:1],
        visible.lstrip()[:1],
    )  # a leading tab or line break counts, and so does the first character after it
    return f"'{cell}" if visible and not _FORMULA.isdisjoint(begin) else cell


def from_csv(cell: str) -> str:
    """Return the text that `for_csv` wrote as `cell`; other cells are returned unchanged."""
    return cell[1:] if for_csv(cell[1:]) == cell else cell


def split_url(url: str) -> SplitResult | None:
    """Return the parts of a URL from an untrusted source, None if it can't be parsed; `.port` raises nothing."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - parsed on access, and then raises ValueError
    except ValueError:
        return None
    return parts


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
    return joiner == "\u200d" and pictures  # an emoji made of several; Sk are skin tones, Mn selects color


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
