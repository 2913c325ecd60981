"""Fold texts for search, and split them into the words that both databases index.

Python folds what is stored and what is searched, so that SQLite and PostgreSQL find the same. Facts of a message (its
kind, its origin) are words of their own, which begin with FACT.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

import regex

FACT = "\u00a4"  # the currency sign is no letter, so no word of a text begins with it
WORD_CHARACTERS = 40  # of a longer word only the beginning is indexed
# Marks that a reader may leave out. Marks that change the letter stay: of kana, and of the scripts of India and Asia.
_OPTIONAL_MARKS = regex.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]|\\p{Cf}"
)
_LETTERS = str.maketrans(
    {"\u0131": "i", "\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00e6": "ae", "\u0153": "oe"}
    | dict.fromkeys("\u2018\u2019\u02bc\u02b9", "'")
)
# Scripts that put no spaces between words, or few: found by any two neighboring characters.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc\u3005]"
_PART = regex.compile(rf"(?P<unspaced>{_UNSPACED}+)|(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}\p{{M}}])+")
_UNSPACED_CHARACTER = regex.compile(_UNSPACED)
_IN_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]")
_SHOWN_CHARACTER = regex.compile(r"\X")


def fold(text: str) -> str:
    """Return `text` without differences of case, accents and width, on one line."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = unicodedata.normalize("NFC", _OPTIONAL_MARKS.sub("", plain)).translate(_LETTERS)
    return " ".join(plain.split())


def parts(folded: str) -> Iterator[tuple[str, bool]]:
    """Yield the words of a folded text, each with whether its script is written without spaces."""
    for found in _PART.finditer(folded):
        yield found[0], found["unspaced"] is not None


def words(text: str | None) -> list[str]:
    """Return the indexed words of a text, each once. Of unspaced scripts: pairs of characters, and the last one."""
    found: dict[str, None] = {}
    for part, unspaced in parts(fold(text or "")):
        if unspaced:
            found.update(dict.fromkeys(part[at : at + 2] for at in range(len(part))))
        else:
            found[part[:WORD_CHARACTERS]] = None
    return list(found)


def stored(text: str | None, facts: Iterable[str] = ()) -> str:
    """Return what the column `terms` holds: the words of a text, then facts."""
    return " ".join([*words(text), *(FACT + fact.replace("_", "") for fact in dict.fromkeys(facts))])


def stored_name(username: str | None, name: str | None) -> str:
    """Return the `terms` of a contact: username, its parts, and the words of the name."""
    whole = [fold(username)[:WORD_CHARACTERS].replace(" ", "")] if username else []
    return " ".join(dict.fromkeys([*whole, *words(username), *words(name)]))


def occurrences(piece: str, folded: str, *, whole: bool, shortest: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of a folded piece in a folded text, where it begins a word.

    It also ends one if it is `whole`, or if its last word has fewer than `shortest` characters.
    """
    at = folded.find(piece) if piece else -1
    if at < 0:
        return
    begins, ends = _bounds(piece, whole, shortest)
    while at >= 0:
        end = at + len(piece)
        continued = begins and at and _is_spaced(folded[at - 1])
        if not continued and not (ends and end < len(folded) and _is_spaced(folded[end])):
            yield at, end
        at = folded.find(piece, at + 1)


def spans(pieces: Iterable[tuple[str, bool]], text: str, *, shortest: int) -> list[tuple[int, int]]:
    """Return where folded pieces, each with whether it is whole, occur in `text` as it is shown, in order."""
    folded, origins = _with_origins(text)
    found: list[tuple[int, int]] = []
    for start, end in sorted(
        span for piece, whole in pieces for span in occurrences(piece, folded, whole=whole, shortest=shortest)
    ):
        first, last = origins[start], origins[end] if end < len(origins) else len(text)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found


@lru_cache(maxsize=256)
def _bounds(piece: str, whole: bool, shortest: int) -> tuple[bool, bool]:
    """Return whether a piece has to begin a word, and to end one."""
    *_, (last, unspaced) = [("", True), *parts(piece)]
    ends = bool(_IN_WORD.match(piece[-1])) and not unspaced and (whole or len(last) < shortest)
    return _is_spaced(piece[0]), ends


@lru_cache(maxsize=4096)
def _is_spaced(character: str) -> bool:
    return bool(_IN_WORD.match(character)) and not _UNSPACED_CHARACTER.match(character)


def _with_origins(text: str) -> tuple[str, list[int]]:
    """Return the folded text, and of each of its characters the place in `text` where it comes from."""
    folded: list[str] = []
    origins: list[int] = []
    for cluster in _SHOWN_CHARACTER.finditer(text):
        plain = _folded_cluster(cluster[0])
        if plain == " " and (not folded or folded[-1][-1:] == " "):
            continue
        if plain:
            folded.append(plain)
            origins += [cluster.start()] * len(plain)
    return "".join(folded), origins


@lru_cache(maxsize=4096)
def _folded_cluster(cluster: str) -> str:
    return fold(cluster) or (" " if cluster.isspace() else "")
