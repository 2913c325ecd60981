"""Mark what a search found in the texts that pages show."""

from collections.abc import Sequence
from dataclasses import dataclass

from app import search_words
from app.search_index import SHORTEST
from app.text import shorten

CHARACTERS = 160  # of a preview
BEFORE = 24  # the first marked word stays visible in a narrow list


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of a text, marked if a search found it."""

    text: str
    marked: bool


def marked(text: str, pieces: Sequence[tuple[str, bool]], *, shortest: int = SHORTEST) -> tuple[TextPart, ...]:
    """Return `text` in parts; `pieces` are the folded words and phrases to mark, each with whether it is whole."""
    parts: list[TextPart] = []
    end = 0
    for start, stop in search_words.spans(pieces, text, shortest=shortest):
        parts += [TextPart(text[end:start], marked=False), TextPart(text[start:stop], marked=True)]
        end = stop
    parts.append(TextPart(text[end:], marked=False))
    return tuple(part for part in parts if part.text)


def around(text: str, pieces: Sequence[tuple[str, bool]]) -> tuple[TextPart, ...]:
    """Return the part of a message around its first marked word, on one line."""
    line = " ".join(text.split())
    first = next(iter(search_words.spans(pieces, line, shortest=SHORTEST)), (0, 0))[0]
    if first > BEFORE:
        start = line.rfind(" ", 0, first - BEFORE // 2) + 1 or first - BEFORE // 2
        line = f"…{line[start:]}"
    return marked(shorten(line, CHARACTERS), pieces)


def marked_name(name: str | None, pieces: Sequence[tuple[str, bool]]) -> tuple[TextPart, ...] | None:
    """Return a name in parts, None if it contains no searched word."""
    bare = [(piece.removeprefix("@"), whole) for piece, whole in pieces]
    found = marked(name or "", bare, shortest=1)
    return found if any(part.marked for part in found) else None
