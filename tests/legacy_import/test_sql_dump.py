"""SQL dumps: rows are read as the tools of each database write them, and what can't be read is refused."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.legacy_import import files, sql_dump

TABLES = ("instagram_user_cache", "conversations")
Row = dict[str, Any]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)
ROWS = st.lists(st.fixed_dictionaries({"account_id": st.none() | WORDS, "name": st.none() | WORDS}), max_size=5)
COLUMNS = ("account_id", "name")
CREATE = (
    "CREATE TABLE \"instagram_user_cache\" (\n  account_id text DEFAULT 'a,b)' -- a comment, with a comma\n,"
    " name varchar(80), PRIMARY KEY (account_id));\n"
)


def read(text: str, dialect: str = "postgres") -> list[Row]:
    return list(sql_dump.read_rows(enumerate(text.splitlines(keepends=True), 1), TABLES, dialect))


def joined(values: Iterable[str | None]) -> str:
    return ", ".join("NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in values)


@given(ROWS)
def test_what_pg_dump_writes_as_inserts_is_read_back(rows: list[Row]) -> None:
    written = [
        f"INSERT INTO public.instagram_user_cache VALUES ({joined(row[name] for name in COLUMNS)});\n" for row in rows
    ]
    assert list(sql_dump.read_rows(enumerate([CREATE, *written], 1), TABLES, "postgres")) == rows


@given(ROWS)
def test_what_pg_dump_writes_as_copy_is_read_back(rows: list[Row]) -> None:
    def cell(value: str | None) -> str:
        if value is None:
            return "\\N"
        for plain, escape in (
            ("\\", "\\\\"),
            ("\t", "\\t"),
            ("\n", "\\n"),
            ("\b", "\\b"),
            ("\f", "\\f"),
            ("\v", "\\v"),
        ):
            value = value.replace(plain, escape)
        return value

    written = ["\t".join(cell(row[name]) for name in COLUMNS) + "\n" for row in rows]
    lines = ["COPY public.instagram_user_cache (account_id, name) FROM stdin;\n", *written, "\\.\n"]
    assert list(sql_dump.read_rows(enumerate(lines, 1), TABLES, "postgres")) == rows


@given(ROWS)
def test_what_mysqldump_writes_is_read_back(rows: list[Row]) -> None:
    def literal(value: str | None) -> str:
        if value is None:
            return "NULL"
        for plain, escape in (("\\", "\\\\"), ("'", "\\'"), ('"', '\\"'), ("\n", "\\n"), ("\x1a", "\\Z")):
            value = value.replace(plain, escape)
        return f"'{value}'"

    written = ",".join(f"({','.join(literal(row[name]) for name in COLUMNS)})" for row in rows)
    lines = [
        *("-- MySQL dump\n", "/*!40101 SET NAMES utf8 */;\n", "CREATE TABLE `instagram_user_cache` (\n"),
        *(
            "  `account_id` text,\n",
            "  `name` varchar(80) COMMENT 'it''s; (the) name',\n",
            "  KEY `x` (`name`(10),`account_id`)\n",
        ),
        ") ENGINE=InnoDB COMMENT='a (b)';\n",
        *([f"INSERT INTO `instagram_user_cache` VALUES {written};\n"] if rows else []),
    ]
    assert list(sql_dump.read_rows(enumerate(lines, 1), TABLES, "mysql")) == rows


@given(ROWS)
def test_what_sqlite_dumps_is_read_back(rows: list[Row]) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE `conversations` (`account_id`, name)")
        database.executemany("INSERT INTO conversations VALUES (:account_id, :name)", rows)
        database.commit()
        lines = [f"{line}\n" for line in database.iterdump()]
    assert list(sql_dump.read_rows(enumerate("".join(lines).splitlines(keepends=True), 1), TABLES, "sqlite")) == rows


@given(st.text(st.sampled_from("INSERT INTO conversations(a)VALUES'',;()\\\"`$-/*\n E1"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for dialect in ("postgres", "mysql", "sqlite"):
        try:
            read(f"INSERT INTO conversations (a) VALUES {text}", dialect)
        except Invalid:
            continue


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("insert into conversations (a) values ('x')", ["x"]),
        ("BEGIN; INSERT INTO conversations(a) VALUES (1);INSERT INTO conversations(a) VALUES (-2.5);", ["1", "-2.5"]),
        ("INSERT INTO conversations (a) VALUES ('x'::character varying(80)), (E'y\\'s\\n');", ["x", "y's\n"]),
        ("INSERT INTO conversations (a) VALUES ('C:\\'), ('--'), ('/*;'), ('$$');", ["C:\\", "--", "/*;", "$$"]),
        ("INSERT INTO conversations (a) VALUES ('x') ON CONFLICT DO NOTHING;", ["x"]),
        ('INSERT OR REPLACE INTO "conversations" ("a") VALUES (NULL), (TRUE);', [None, "TRUE"]),
        ("INSERT INTO conversations (a) OVERRIDING SYSTEM VALUE VALUES ('x');", ["x"]),
        (
            "INSERT INTO conversations (a) VALUES (replace(replace('x\\ny\\r','\\n',char(10)),'\\r',char(13)));",
            ["x\ny\r"],
        ),
        ("INSERT INTO conversations (a) VALUES (unistr('x\\u000ay'));", ["x\ny"]),
        (
            "\\restrict k3y\nCREATE FUNCTION f() AS $$ it's; $$;\n"
            "INSERT INTO conversations (a) VALUES ('x');\n\\unrestrict k3y\n",
            ["x"],
        ),
        ("INSERT INTO conversations (a) VALUES\n('x;\n'),\n('y');\n", ["x;\n", "y"]),
        ("COPY other (a) FROM stdin;\nINSERT\n\\.\nINSERT INTO conversations (a) VALUES ('x');", ["x"]),
        ("CREATE TABLE conversations (a text);\n-- empty\n", []),
        (
            "CREATE TABLE s.conversations (\n\"a\" text CHECK (a IN ('1', '2')), CONSTRAINT k UNIQUE (a));\n"
            "COPY s.conversations FROM stdin;\nx\\\\y\n\\.\n",
            ["x\\y"],
        ),
    ],
)
def test_valid_sql_of_other_tools_is_read(text: str, rows: list[str | None]) -> None:
    assert read(text) == [{"a": value} for value in rows]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("INSERT INTO other (a) VALUES (1);", "none of the tables"),
        ("CREATE TABLE other (a text);", "none of the tables"),
        ("INSERT INTO conversations VALUES (1);", "line 1 names no columns"),
        ("\n\nCOPY conversations FROM stdin;\n1\n\\.\n", "line 3 names no columns"),
        ("INSERT INTO conversations (a) SELECT b FROM c;", "line 1 has no values"),
        ("INSERT INTO conversations (a) VALUES (lower('X'));", "line 1 has something other than a plain value"),
        ("INSERT INTO conversations (a) VALUES (char(99999999999));", "line 1 has something other than a plain value"),
        ("INSERT INTO conversations (a) VALUES (1 + 1);", "line 1 has something other than a plain value"),
        ("INSERT INTO conversations (a) VALUES ('x';", "line 1"),
        ("INSERT INTO conversations (a) VALUES ('x", "line 1 has no end"),
        ("COPY other (a) FROM stdin;\n1\n", "a COPY has no end"),
        ("COPY conversations (a) FROM stdin WITH (FORMAT csv);\n1\n\\.\n", "text format"),
        ("COPY conversations (a) FROM stdin;\n1\t2\n\\.\n", "line 2 has 2 cells"),
    ],
)
def test_unreadable_statements_are_refused_with_their_line(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(text)


def test_the_dialect_is_recognized_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "dump.sql"
    file.write_text("-- MySQL dump 10.13\nINSERT INTO `conversations` (`a`) VALUES ('it\\'s');\n")
    assert list(files.read_rows(file)) == [{"a": "it's"}]
    file.write_text("PRAGMA foreign_keys=OFF;\nINSERT INTO `conversations` (`a`) VALUES ('C:\\');\n")
    assert list(files.read_rows(file)) == [{"a": "C:\\"}]


def test_a_statement_with_many_rows_is_read() -> None:
    rows = [f"('{number}', 'it''s; fine')" for number in range(20_000)]
    assert len(read("INSERT INTO conversations (a, b) VALUES\n" + ",\n".join(rows) + ";\n")) == 20_000


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("REPLACE INTO `conversations` (`a`) VALUES ('x;');", ["x;"]),
        ("INSERT IGNORE INTO dm.conversations (a) VALUES (_utf8mb4'x'), (N'y');", ["x", "y"]),
        ("INSERT INTO conversations (a) VALUES ('x') ON DUPLICATE KEY UPDATE a = VALUES(a);", ["x"]),
        (
            "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON conversations FOR EACH ROW BEGIN\n"
            "SET NEW.a = 'it''s';\nEND */;;\nDELIMITER ;\nINSERT INTO conversations (a) VALUES ('x');\n",
            ["x"],
        ),
    ],
)
def test_sql_of_mysql_and_its_tools_is_read(text: str, rows: list[str]) -> None:
    assert read(text, "mysql") == [{"a": value} for value in rows]


def test_statements_are_read_one_at_a_time() -> None:
    def lines() -> Iterator[str]:
        yield "INSERT INTO conversations (a) VALUES ('x');\n"
        raise AssertionError("the second statement was read before the rows of the first were used")

    assert next(sql_dump.read_rows(enumerate(lines(), 1), TABLES, "postgres")) == {"a": "x"}


def test_names_in_statements_that_cannot_be_parsed_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    for text in (
        "CREATE TABLE conversations (a text) lea.moreau;",
        "INSERT INTO conversations (a) VALUES (lea moreau);",
    ):
        with suppress(Invalid):
            read(text, "mysql")
    assert "moreau" not in caplog.text
