"""Rows in the SQL dumps of pg_dump, mysqldump, phpMyAdmin and SQLite: INSERT and COPY statements of some tables.

Statements are read one at a time, so memory is bounded by the longest statement.
"""

import logging
import re
import sys
from collections.abc import Collection, Iterator
from typing import Any

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import SqlglotError, TokenError

from app.errors import Invalid

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings quote statements, and so names of contacts

Rows = Iterator[dict[str, Any]]
Lines = Iterator[tuple[int, str]]

HEAD_TOKENS = 20  # enough to reach the name of a statement's table
_BEFORE_TABLE = {"INSERT": "INTO", "CREATE": "TABLE", "COPY": "COPY"}
_REPLACE = re.compile(r"\AREPLACE\s+INTO\b", re.IGNORECASE)  # unknown to sqlglot, and the same rows as INSERT INTO
_COPY_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COPY_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_UNISTR_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def read_rows(lines: Lines, tables: Collection[str], dialect: str) -> Rows:
    """Yield the rows of `tables` from numbered lines. `dialect` is sqlglot's name: mysql, postgres or sqlite.

    Columns come from the statement, or from the CREATE TABLE before it. Raises Invalid, with the line, for a statement
    that can't be read, and for a dump that has none of the tables.
    """
    sql, columns, found = Dialect.get_or_raise(dialect), dict[str, list[str]](), False
    for line, tokens in _statements(lines, sql):
        keyword, at = tokens[0].text.upper(), _table_index(tokens)
        table = tokens[at].text.lower() if at else ""
        found = found or table in tables
        if table not in tables:
            _skip_rows(lines, keyword)
        elif keyword == "COPY":
            yield from _copied_rows(lines, tokens[at + 1 :], columns.get(table), line)
        elif keyword == "CREATE":
            columns[table] = _created_columns(sql, tokens)
        else:
            yield from _inserted_rows(sql, tokens, columns.get(table), line)
    if not found:
        raise wrong(f"it has none of the tables {', '.join(tables)}")


def wrong(problem: str) -> Invalid:
    """Return the error for a dump that can't be read."""
    return Invalid({"file": f"The dump cannot be read: {problem}."})


def _statements(lines: Lines, sql: Dialect) -> Iterator[tuple[int, list[Token]]]:
    """Yield the line in which each statement begins, and its tokens."""
    text, first = "", 0
    for number, line in lines:
        if not text and (line.isspace() or line.startswith(("--", "#", "\\"))):  # comments, and commands of psql
            continue
        first = first if text else number
        text += line if text else _REPLACE.sub("INSERT INTO", line)
        if line.rstrip().endswith(";"):
            try:
                tokens = sql.tokenize(text)
            except TokenError:  # the semicolon is inside a string or comment
                continue
            yield from _split(tokens, text, first)
            text = ""
    try:
        yield from _split(sql.tokenize(text), text, first)
    except TokenError:
        raise wrong(f"the statement of line {first} has no end") from None


def _split(tokens: list[Token], text: str, first: int) -> Iterator[tuple[int, list[Token]]]:
    statement: list[Token] = []
    for token in (*tokens, Token(TokenType.SEMICOLON, ";")):
        if token.token_type is not TokenType.SEMICOLON:
            statement.append(token)
        elif statement:
            yield first + text.count("\n", 0, statement[0].start), statement
            statement = []


def _table_index(tokens: list[Token]) -> int:
    """Return the index of the table that a statement creates or writes to, 0 for other statements."""
    words = [token.text.upper() for token in tokens[:HEAD_TOKENS]]
    before = _BEFORE_TABLE.get(words[0])
    if before not in words:
        return 0
    at = words.index(before) + 1
    at += 3 if words[at : at + 3] == ["IF", "NOT", "EXISTS"] else 0
    while words[at + 1 : at + 2] == ["."]:  # the table of a schema or database
        at += 2
    return at if at < len(words) else 0


def _created_columns(sql: Dialect, tokens: list[Token]) -> list[str]:
    try:
        created = sql.parser().parse(tokens, "")[0]
    except (SqlglotError, RecursionError):  # matters only for a statement that names no columns
        return []
    schema = created.this if isinstance(created, exp.Create) else None
    columns = schema.expressions if schema else []
    return [each.name for each in columns if isinstance(each, exp.ColumnDef | exp.Identifier)]  # the last has no type


def _copied_rows(lines: Lines, tokens: list[Token], created: list[str] | None, first: int) -> Rows:
    words = [token.text for token in tokens if token.token_type is not TokenType.COMMA]
    if [word.upper() for word in words[-2:]] != ["FROM", "STDIN"]:
        raise wrong(f"the COPY of line {first} is not in PostgreSQL's text format")
    columns = words[1:-3] or _known(created, first)
    for number, line in lines:
        if line.rstrip("\r\n") == "\\.":
            return
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != len(columns):
            raise wrong(f"its line {number} has {len(cells)} cells instead of {len(columns)}")
        yield dict(zip(columns, map(_copied_value, cells), strict=True))
    raise wrong("a COPY has no end")


def _copied_value(cell: str) -> str | None:
    return None if cell == "\\N" else _COPY_ESCAPE.sub(lambda found: _COPY_ESCAPES.get(found[1], found[1]), cell)


def _skip_rows(lines: Lines, keyword: str) -> None:
    if keyword == "COPY" and not any(line.rstrip("\r\n") == "\\." for _, line in lines):
        raise wrong("a COPY has no end")


def _known(created: list[str] | None, line: int) -> list[str]:
    if not created:
        raise wrong(f"the statement of line {line} names no columns, and no CREATE TABLE comes before it")
    return created


def _inserted_rows(sql: Dialect, tokens: list[Token], created: list[str] | None, line: int) -> Rows:
    at = next((at for at, token in enumerate(tokens) if token.token_type is TokenType.VALUES), None)
    if at is None:
        raise wrong(f"the INSERT of line {line} has no values")
    words = [token.text.upper() for token in tokens[:at]]
    head = tokens[: words.index("OVERRIDING") if "OVERRIDING" in words else at]  # OVERRIDING is unknown to sqlglot
    try:
        inserted = sql.parser().parse([*head, *tokens[at:]], "")[0]
    except (SqlglotError, RecursionError):
        raise wrong(f"the statement of line {line} cannot be read") from None
    if not isinstance(inserted, exp.Insert) or not isinstance(inserted.expression, exp.Values):
        raise wrong(f"the statement of line {line} cannot be read")
    columns = [each.name for each in inserted.this.expressions] or _known(created, line)
    for row in inserted.expression.expressions:
        if len(row.expressions) != len(columns):
            raise wrong(f"the statement of line {line} has {len(row.expressions)} values instead of {len(columns)}")
        yield {column: _value(each, line) for column, each in zip(columns, row.expressions, strict=True)}


def _value(value: exp.Expression, line: int) -> str | None:
    match value:
        case exp.Null():
            return None
        case exp.Literal() | exp.National() | exp.ByteString() | exp.HexString():
            return value.name
        case exp.Boolean():
            return str(value.this).upper()
        case exp.Neg():
            return f"-{_value(value.this, line)}"
        case exp.Cast():
            return _value(value.this, line)
        case exp.Introducer():  # a character set: _utf8mb4'…'
            return _value(value.expression, line)
    return _called(value, line)


def _called(value: exp.Expression, line: int) -> str:
    """Return the result of the functions with which SQLite writes line breaks and control characters."""
    match value:
        case exp.Chr(expressions=[exp.Literal(is_int=True) as code]) if int(code.name) <= sys.maxunicode:
            return chr(int(code.name))
        case exp.Replace(args={"this": text, "expression": old, "replacement": exp.Expression() as new}):
            return (_value(text, line) or "").replace(_value(old, line) or "", _value(new, line) or "")
        case exp.Anonymous(this="unistr", expressions=[exp.Literal() as text]):
            return _UNISTR_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text.name)
    raise wrong(f"the statement of line {line} has something other than a plain value")
