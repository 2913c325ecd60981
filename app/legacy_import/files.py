"""Rows of an older system's tables in a file: SQLite, SQL, JSON, JSON lines or CSV."""

import codecs
import csv
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.legacy_import import sql_dump
from app.legacy_import.sql_dump import Rows, wrong
from app.strict_json import load_json
from app.text import from_csv

TABLES = ("instagram_user_cache", "conversations")
DELIMITERS = ",;\t"
BEGIN_BYTES = 4096  # enough to recognize the format
_SQL = re.compile(r"\b(COPY|INSERT|REPLACE|CREATE|DROP|BEGIN|START|PRAGMA|SET)\b", re.IGNORECASE)
_SQLITE = re.compile(r"PRAGMA|BEGIN TRANSACTION")
_MYSQL = re.compile(r"MySQL|MariaDB|phpMyAdmin|(INTO|TABLE|EXISTS) `")


def read_rows(path: Path) -> Rows:
    """Yield the rows of the tables in TABLES one at a time, with the values as they are in the file.

    Raises Invalid, with the place, for a file in another format and for a damaged one.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(BEGIN_BYTES)
        yield from _reader(begin)(path)
    except OSError as error:
        raise wrong(f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise wrong("it is not UTF-8, perhaps Windows-1252; save it as UTF-8 and import it again") from error
    except (sqlite3.DatabaseError, csv.Error) as error:
        raise wrong(str(error)) from error


def _reader(begin: bytes) -> Callable[[Path], Rows]:
    if begin.startswith(b"SQLite format 3\0"):
        return _sqlite
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise wrong("it is UTF-16; save it as UTF-8 and import it again")
    text = begin.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return _json
    if text.startswith("{"):
        return _json_lines
    if text.startswith(("--", "/*", "#", "\\")) or _SQL.match(text):
        return _sql
    if _delimiter(text):
        return _csv
    raise wrong("it is neither a SQLite file nor SQL, JSON or CSV separated by commas, semicolons or tabs")


def _sqlite(path: Path) -> Rows:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        present = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = [name for name in TABLES if name in present]
        if not found:
            raise wrong(f"it has none of the tables {', '.join(TABLES)}")
        for name in found:
            yield from map(dict, connection.execute(f"SELECT * FROM {name}"))  # noqa: S608 - one of TABLES


def _sql(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        begin = file.read(BEGIN_BYTES)
        file.seek(0)
        yield from sql_dump.read_rows(enumerate(file, 1), TABLES, _dialect(begin))


def _dialect(begin: str) -> str:
    if _SQLITE.search(begin):
        return "sqlite"
    return "mysql" if _MYSQL.search(begin) else "postgres"


def _json(path: Path) -> Rows:
    try:
        found = load_json(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise wrong(f"it is not JSON: {error}") from error
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise wrong(f"its entry {number} is not an object")
    yield from _phpmyadmin(found) if _is_phpmyadmin(found) else found


def _is_phpmyadmin(found: list[dict[str, Any]]) -> bool:
    return bool(found) and found[0].get("type") == "header"


def _phpmyadmin(found: list[dict[str, Any]]) -> Rows:
    tables = [each for each in found if each.get("type") == "table" and each.get("name") in TABLES]
    if not tables:
        raise wrong(f"it has none of the tables {', '.join(TABLES)}")
    for table in tables:
        rows = table.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise wrong(f"its table {table['name']} has no list of rows")
        yield from rows


def _json_lines(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = load_json(line)
            except ValueError as error:
                raise wrong(f"its line {number} is not JSON") from error
            if not isinstance(row, dict):
                raise wrong(f"its line {number} is not an object")
            yield row


def _csv(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = _delimiter(file.read(BEGIN_BYTES)) or ","
        file.seek(0)
        for row in csv.DictReader(file, delimiter=delimiter, strict=True):
            if None in row or None in row.values():
                raise wrong("a line has more or fewer cells than the first")
            yield {name: from_csv(value) or None for name, value in row.items()}


def _delimiter(text: str) -> str | None:
    """Return the character that separates the column names in the first line of a CSV file, None without one."""
    first = text.partition("\n")[0]
    found = max(DELIMITERS, key=first.count)
    return found if found in first else None
