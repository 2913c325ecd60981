"""Rows that stand in SQL text, as pg_dump, mysqldump and SQLite's .dump write it: INSERT and COPY of some tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import Invalid

Rows = Iterator[dict[str, Any]]
Lines = Iterator[tuple[int, str]]

_NAME = r"(?:\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|\w+)"
_TABLE = rf"(?:{_NAME}\s*\.\s*)?(?P<table>{_NAME})\s*"
_COLUMNS = r"(?:\((?P<columns>[^()]*)\)\s*)?"
_INSERT = re.compile(rf"(?:INSERT(?:\s+OR\s+\w+|\s+IGNORE)?|REPLACE)\s+INTO\s+{_TABLE}{_COLUMNS}", re.IGNORECASE)
_VALUES = re.compile(r"(?:OVERRIDING\s+\w+\s+VALUE\s+)?VALUES\s*(?=\()", re.IGNORECASE)
_COPY = re.compile(rf"COPY\s+{_TABLE}{_COLUMNS}FROM\s+stdin\s*(?P<options>[^;]*);", re.IGNORECASE)
_CREATE = re.compile(
    rf"CREATE\s+(?:\w+\s+){{0,2}}TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}\((?=\s*(?P<body>\S.*))",
    re.IGNORECASE | re.DOTALL,
)
_NO_COLUMN = re.compile(r"(PRIMARY|UNIQUE|KEY|CONSTRAINT|FOREIGN|CHECK|INDEX|FULLTEXT|EXCLUDE|LIKE)\b", re.IGNORECASE)
_COPIED = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\v": "\v"}
_ESCAPED = {"\\0": "\0", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\Z": "\x1a"}
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_REST = re.compile(r"(?:\s*::\s*[\w. ]+(?:\([\d, ]*\))?(?:\[\])?)?\s*([,)])")
_WORD = re.compile(r"[^,()'\s:]+")
_CALL = re.compile(r"(\w+)\(")
_SPACE = re.compile(r"\s*")
_NEXT = re.compile(r"\s*,\s*(?=\()")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How strings are written: MySQL's take a backslash for an escape, everybody else's only after an E."""

    string: re.Pattern[str]
    pieces: re.Pattern[str]  # as much of a statement as is whole
    escaping: bool


def _dialect(*, escaping: bool) -> Dialect:
    escaped, plain = r"'(?:[^'\\]|\\.|'')*+'", r"'(?:[^']|'')*+'"
    string = rf"(?:[Nn]|_utf8\w*\s+)?{escaped}" if escaping else rf"[Ee]{escaped}|{plain}"
    quoted = r"#[^\n]*+" if escaping else r"\$(\w*)\$.*?\$\1\$|\$(?!\w*\$)|#"
    skipped = rf"\"[^\"]*+\"|`[^`]*+`|--[^\n]*+|/\*.*?\*/|{quoted}"
    pieces = rf"(?:[^;'\"`Ee#$/-]++|{string}|{skipped}|[Ee](?!')|-(?!-)|/(?!\*){'|[$]' if escaping else ''})*+"
    return Dialect(re.compile(string, re.DOTALL), re.compile(pieces, re.DOTALL), escaping)


STANDARD, MYSQL = _dialect(escaping=False), _dialect(escaping=True)


@dataclass(slots=True)
class _Reading:
    lines: Lines
    dialect: Dialect
    tables: Sequence[str]
    columns: dict[str, list[str]] = field(default_factory=dict)
    met: bool = False


def rows(lines: Lines, tables: Sequence[str], dialect: Dialect) -> Rows:
    """Yield the rows of `tables` from numbered lines; raises Invalid, with the line, for what cannot be read.

    Columns come from the statement itself or else from the table's CREATE TABLE. SQL that has none of the tables is
    no dump of ours.
    """
    reading = _Reading(lines, dialect, tables)
    for number, statement in _statements(reading):
        yield from _read(reading, number, statement)
    if not reading.met:
        raise wrong(f"it has none of the tables {', '.join(tables)}")


def wrong(what: str) -> Invalid:
    """Return the refusal of a dump."""
    return Invalid({"file": f"The dump cannot be read: {what}."})


def _statements(reading: _Reading) -> Iterator[tuple[int, str]]:
    text, place, began = "", 0, 0
    for number, line in reading.lines:
        if line.startswith("\\") and not _without_comments(text):
            continue  # a command to psql
        began = number if not text or text.isspace() else began
        text += line
        place = _whole(reading, text, place)
        while text.startswith(";", place):
            yield began, _without_comments(text[: place + 1])
            text, began = text[place + 1 :], number
            place = _whole(reading, text, 0)
    if last := _without_comments(text):
        if place < len(text):
            raise wrong(f"the statement of line {began} has no end")
        yield began, f"{last};"


def _whole(reading: _Reading, text: str, place: int) -> int:
    found = reading.dialect.pieces.match(text, place)
    return found.end() if found else place


def _without_comments(statement: str) -> str:
    bare = statement.lstrip()
    while bare.startswith(("--", "/*", "#")):
        end = "*/" if bare.startswith("/*") else "\n"
        bare = bare.partition(end)[2].lstrip()
    return bare


def _read(reading: _Reading, number: int, statement: str) -> Rows:
    if created := _CREATE.match(statement):
        reading.columns[_table(created)] = [*_created(created["body"])]
        reading.met = reading.met or _table(created) in reading.tables
    elif copied := _COPY.match(statement):
        yield from _copied(reading, copied, number)
    elif (begun := _INSERT.match(statement)) and _table(begun) in reading.tables:
        reading.met = True
        listed = _VALUES.match(statement, begun.end())
        if listed is None:
            raise wrong(f"the INSERT of line {number} has no values")
        names = _names(reading, begun, number)
        yield from _inserted(reading.dialect, names, statement, listed.end(), number)


def _names(reading: _Reading, found: re.Match[str], number: int) -> list[str]:
    if found["columns"] is not None:
        return [_bare(name) for name in found["columns"].split(",")]
    known = reading.columns.get(_table(found))
    if known is None:
        raise wrong(f"the statement of line {number} names no columns, and no CREATE TABLE comes before it")
    return known


def _created(body: str) -> Iterator[str]:
    depth, definition = 0, ""
    for piece in re.findall(r"'(?:[^']|'')*+'|--[^\n]*|/\*.*?\*/|[(),/-]|[^'(),/-]+", body):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            break
        if piece == "," and depth == 0:
            yield from _column(definition)
            definition = ""
        else:
            definition += piece
    yield from _column(definition)


def _column(definition: str) -> Iterator[str]:
    bare = _without_comments(definition)
    named = re.match(_NAME, bare)
    if named and not _NO_COLUMN.match(bare):
        yield _bare(named[0])


def _copied(reading: _Reading, copied: re.Match[str], number: int) -> Rows:
    ours = _table(copied) in reading.tables
    reading.met = reading.met or ours
    if ours and copied["options"].strip():
        raise wrong(f"the COPY of line {number} is not written in PostgreSQL's text format")
    names = _names(reading, copied, number) if ours else []
    for place, line in reading.lines:
        if line.rstrip("\r\n") == "\\.":
            return
        cells = line.rstrip("\r\n").split("\t")
        if ours and len(cells) != len(names):
            raise wrong(f"its line {place} has {len(cells)} cells instead of {len(names)}")
        if ours:
            yield dict(zip(names, map(_copied_cell, cells), strict=True))
    raise wrong("a COPY has no end")


def _copied_cell(cell: str) -> str | None:
    return None if cell == "\\N" else _ESCAPE.sub(lambda found: _COPIED.get(found[0], found[0][1:]), cell)


def _inserted(dialect: Dialect, names: list[str], statement: str, place: int, number: int) -> Rows:
    while statement[place : place + 1] == "(":
        row, place = _tuple(dialect, statement, place + 1, number)
        if len(row) != len(names):
            raise wrong(f"the statement of line {number} has {len(row)} values instead of {len(names)}")
        yield dict(zip(names, row, strict=True))
        following = _NEXT.match(statement, place)
        place = following.end() if following else len(statement)


def _tuple(dialect: Dialect, statement: str, place: int, number: int) -> tuple[list[str | None], int]:
    row: list[str | None] = []
    while True:
        value, place = _value(dialect, statement, place, number)
        ended = _REST.match(statement, place)
        if ended is None:
            raise wrong(f"the statement of line {number} has something other than a plain value")
        row.append(value)
        place = ended.end()
        if ended[1] == ")":
            return row, place


def _value(dialect: Dialect, statement: str, place: int, number: int) -> tuple[str | None, int]:
    place = _SPACE.match(statement, place).end()  # type: ignore[union-attr]  # it matches anything
    if string := dialect.string.match(statement, place):
        return _unquoted(string[0], escaping=dialect.escaping or string[0][0] in "Ee"), string.end()
    if call := _CALL.match(statement, place):
        arguments, place = _tuple(dialect, statement, call.end(), number)
        return _called(call[1].lower(), arguments, number), place
    if word := _WORD.match(statement, place):
        return None if word[0].upper() == "NULL" else word[0], word.end()
    raise wrong(f"the statement of line {number} cannot be read")


def _called(name: str, arguments: list[str | None], number: int) -> str:
    # The functions with which SQLite's .dump writes line breaks and control characters.
    match name, arguments:
        case "char", [str(code)] if code.isdecimal():
            return chr(int(code))
        case "replace", [str(text), str(old), str(new)]:
            return text.replace(old, new)
        case "unistr", [str(text)]:
            return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    raise wrong(f"the statement of line {number} calls {name}(), where a plain value should be")


def _unquoted(string: str, *, escaping: bool) -> str:
    inner = string[string.index("'") + 1 : -1].replace("''", "'")
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[0], found[0][1:]), inner) if escaping else inner


def _table(found: re.Match[str]) -> str:
    return _bare(found["table"]).lower()


def _bare(name: str) -> str:
    return name.strip().strip('"`[]')
