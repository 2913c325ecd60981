"""Mark what a search found in the texts that pages show."""

from collections.abc import Sequence
from dataclasses import dataclass

from app import search_words
from app.inbox.search_index import SHORTEST
from app.text import shorten

CHARACTERS = 160  # of a preview
BEFORE = 24  # the first marked word stays visible in a narrow list


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text, marked if a search found it."""

    text: str
    marked: bool


def marked(text: str, pieces: Sequence[tuple[str, bool]], *, shortest: int = SHORTEST) -> tuple[Part, ...]:
    """Return `text` in parts; `pieces` are the folded words and phrases to mark, each with whether it is whole."""
    parts: list[Part] = []
    end = 0
    for start, stop in search_words.spans(pieces, text, shortest=shortest):
        parts += [Part(text[end:start], marked=False), Part(text[start:stop], marked=True)]
        end = stop
    parts.append(Part(text[end:], marked=False))
    return tuple(part for part in parts if part.text)


def around(text: str, pieces: Sequence[tuple[str, bool]]) -> tuple[Part, ...]:
    """Return the part of a message around its first marked word, on one line."""
    line = " ".join(text.split())
    first = next(iter(search_words.spans(pieces, line, shortest=SHORTEST)), (0, 0))[0]
    if first > BEFORE:
        start = line.rfind(" ", 0, first - BEFORE // 2) + 1 or first - BEFORE // 2
        line = f"…{line[start:]}"
    return marked(shorten(line, CHARACTERS), pieces)


def marked_name(name: str | None, pieces: Sequence[tuple[str, bool]]) -> tuple[Part, ...] | None:
    """Return a name in parts, None if it contains no searched word."""
    bare = [(piece.removeprefix("@"), whole) for piece, whole in pieces]
    found = marked(name or "", bare, shortest=1)
    return found if any(part.marked for part in found) else None
