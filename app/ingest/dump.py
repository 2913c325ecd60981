"""Rows of an older system's dump, whatever it was written with: a SQLite file, SQL text, JSON (lines) or CSV."""

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from app.errors import Invalid

TABLES = ("instagram_user_cache", "conversations")
Rows = Iterator[dict[str, Any]]

_COPY = re.compile(r"COPY\s+(?:\w+\.)?\"?(\w+)\"?\s*\(([^)]*)\)\s+FROM\s+stdin;", re.IGNORECASE)
_INSERT = re.compile(r"INSERT\s+INTO\s+(?:\w+\.)?[\"`]?(\w+)[\"`]?\s*\(([^)]*)\)\s*VALUES\s*", re.IGNORECASE)
_VALUE = re.compile(
    r"\s*(?:(?P<text>E?'(?:[^'\\]|''|\\.)*')|(?P<word>[^,()'\s]+))(?:::\w+)?\s*(?P<end>[,)])", re.DOTALL
)
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}


def rows(path: Path) -> Rows:
    """Yield the rows of the tables we know, one at a time, as they were written.

    Raises Invalid, with the place, for a file that is none of the four or is damaged.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(4096)
        read = _reader(begin)
        yield from read(path)
    except OSError as error:
        raise _wrong(f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _wrong("it is not UTF-8") from error
    except (sqlite3.DatabaseError, csv.Error) as error:
        raise _wrong(str(error)) from error


def _reader(begin: bytes) -> Callable[[Path], Rows]:
    if begin.startswith(b"SQLite format 3\0"):
        return _sqlite
    text = begin.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return _json
    if text.startswith("{"):
        return _json_lines
    if text.startswith(("--", "/*")) or re.search(r"\b(COPY|INSERT INTO|CREATE TABLE|BEGIN|PRAGMA|SET)\b", text):
        return _sql
    if "," in text.partition("\n")[0]:
        return _csv
    raise _wrong("it is neither a SQLite file nor SQL, JSON or CSV")


def _sqlite(path: Path) -> Rows:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        present = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = [name for name in TABLES if name in present]
        if not found:
            raise _wrong(f"it has none of the tables {', '.join(TABLES)}")
        for name in found:
            yield from map(dict, connection.execute(f"SELECT * FROM {name}"))  # noqa: S608 - one of TABLES


def _json(path: Path) -> Rows:
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise _wrong(f"it is not JSON: {error}") from error
    for place, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise _wrong(f"its entry {place} is not an object")
        yield row


def _json_lines(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _wrong(f"its line {number} is not JSON") from error
            if not isinstance(row, dict):
                raise _wrong(f"its line {number} is not an object")
            yield row


def _csv(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            if None in row or None in row.values():
                raise _wrong("a line has more or fewer cells than the first")
            yield {name: value or None for name, value in row.items()}


def _sql(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        lines = enumerate(file, 1)
        for number, line in lines:
            if copied := _COPY.match(line):
                yield from _copied(copied[1], _names(copied[2]), lines)
            elif begun := _INSERT.match(line):
                statement = line
                while not statement.rstrip().endswith(";"):
                    follows = next(lines, None)
                    if follows is None:
                        raise _wrong(f"the statement of line {number} has no end")
                    statement += follows[1]
                yield from _inserted(begun[1], _names(begun[2]), statement[begun.end() :], number)


def _copied(table: str, names: list[str], lines: Iterator[tuple[int, str]]) -> Rows:
    for number, line in lines:
        if line.rstrip("\n") == "\\.":
            return
        cells = line.rstrip("\n").split("\t")
        if len(cells) != len(names):
            raise _wrong(f"its line {number} has {len(cells)} cells instead of {len(names)}")
        if table in TABLES:
            yield dict(zip(names, map(_copied_cell, cells), strict=True))
    raise _wrong("a COPY has no end")


def _copied_cell(cell: str) -> str | None:
    if cell == "\\N":
        return None
    return re.sub(r"\\[tnr\\]", lambda found: _ESCAPES[found[0]], cell)


def _inserted(table: str, names: list[str], values: str, number: int) -> Rows:
    if table not in TABLES:
        return
    place = values.find("(")
    while place >= 0:
        row, place = _tuple(values, place + 1, number)
        if len(row) != len(names):
            raise _wrong(f"the statement of line {number} has {len(row)} values instead of {len(names)}")
        yield dict(zip(names, row, strict=True))
        place = values.find("(", place) if values[place:].lstrip().startswith(",") else -1


def _tuple(values: str, place: int, number: int) -> tuple[list[str | None], int]:
    row: list[str | None] = []
    while found := _VALUE.match(values, place):
        row.append(_literal(found))
        place = found.end()
        if found["end"] == ")":
            return row, place
    raise _wrong(f"the statement of line {number} cannot be read")


def _literal(found: re.Match[str]) -> str | None:
    if found["text"] is None:
        return None if found["word"].upper() == "NULL" else found["word"]
    inner = found["text"].removeprefix("E")[1:-1].replace("''", "'")
    if found["text"].startswith("E"):
        inner = re.sub(r"\\[tnr\\]", lambda escape: _ESCAPES[escape[0]], inner)
    return inner


def _names(columns: str) -> list[str]:
    return [name.strip().strip('"`') for name in columns.split(",")]


def _wrong(what: str) -> Invalid:
    return Invalid({"file": f"The dump cannot be read: {what}."})
