"""Reading dumps of older systems in each format, and refusing other files."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from app.legacy_import import files

ROWS: list[dict[str, str | None]] = [
    {"account_id": "178", "participant_id": "15", "username": "lea", "name": 'L\'éa, "la\nlune"'},
    {"account_id": None, "participant_id": "16", "username": None, "name": "x"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dump"


def read(file: Path, content: str) -> list[dict[str, object]]:
    file.write_text(content)
    return list(files.read_rows(file))


def test_a_sqlite_file_is_read_table_by_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE instagram_user_cache (account_id, participant_id, username, name)")
        connection.executemany(
            "INSERT INTO instagram_user_cache VALUES (:account_id, :participant_id, :username, :name)", ROWS
        )
        connection.commit()
    assert list(files.read_rows(file)) == ROWS


def test_json_is_read_as_a_list_and_as_lines(file: Path) -> None:
    assert read(file, json.dumps(ROWS)) == ROWS
    assert read(file, "\n".join(map(json.dumps, ROWS)) + "\n") == ROWS


def test_csv_takes_its_columns_from_the_first_line(file: Path) -> None:
    written = 'account_id,participant_id,username,name\n178,15,lea,"L\'éa, ""la\nlune"""\n,16,,x\n'
    assert read(file, written) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_may_be_separated_by_commas_semicolons_or_tabs(file: Path, delimiter: str) -> None:
    lines = ("account_id|participant_id|username|name", "178|1630000000000051|mia|Mia Müller", "178|16||a,b;c")
    written = "\r\n".join(lines).replace("a,b;c", '"a,b;c"').replace("|", delimiter)
    file.write_bytes(f"\ufeff{written}\r\n".encode())
    mia, other = files.read_rows(file)
    assert mia == {"account_id": "178", "participant_id": "1630000000000051", "username": "mia", "name": "Mia Müller"}
    assert (other["username"], other["name"]) == (None, "a,b;c")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_file_in_another_encoding_is_refused_with_what_to_do(file: Path, encoding: str) -> None:
    file.write_bytes("account_id;participant_id;name\r\n178;15;Mia Müller\r\n".encode(encoding))
    with pytest.raises(Invalid, match="save it as UTF-8"):
        list(files.read_rows(file))


def test_a_file_with_another_delimiter_is_refused_with_those_that_work(file: Path) -> None:
    with pytest.raises(Invalid, match="commas, semicolons or tabs"):
        read(file, "account_id|participant_id|name\n178|15|Mia\n")


def phpmyadmin(*tables: dict[str, Any]) -> str:
    return json.dumps([{"type": "header", "version": "5.2.1"}, {"type": "database", "name": "dm"}, *tables])


def test_rows_are_read_from_the_tables_in_json_of_phpmyadmin(file: Path) -> None:
    other: dict[str, Any] = {"type": "table", "name": "secrets", "database": "dm", "data": [{"account_id": "1"}]}
    ours: dict[str, Any] = {"type": "table", "name": "instagram_user_cache", "database": "dm", "data": ROWS}
    assert read(file, phpmyadmin(other, ours)) == ROWS
    with pytest.raises(Invalid, match="none of the tables instagram_user_cache, conversations"):
        read(file, phpmyadmin(other))
    with pytest.raises(Invalid, match="no list of rows"):
        read(file, phpmyadmin(ours | {"data": "x"}))


def test_sql_is_read_from_inserts_of_known_tables(file: Path) -> None:
    written = (
        "-- a dump\nCREATE TABLE instagram_user_cache (account_id text);\n"
        "INSERT INTO secrets (a, b) VALUES ('x', 'y');\n"
        "INSERT INTO instagram_user_cache (account_id, participant_id, username, name) VALUES\n"
        " ('178', '15', 'lea', 'L''éa, \"la\nlune\"'),\n (NULL, '16', NULL, 'x');\n"
    )
    assert read(file, written) == ROWS


def test_sql_is_read_from_copies_of_postgresql(file: Path) -> None:
    written = (
        "SET client_encoding = 'UTF8';\n"
        "COPY public.other (a) FROM stdin;\nx\n\\.\n"
        "COPY public.instagram_user_cache (account_id, participant_id, username, name) FROM stdin;\n"
        '178\t15\tlea\tL\'éa, "la\\nlune"\n\\N\t16\t\\N\tx\n\\.\n'
    )
    assert read(file, written) == ROWS


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "",
        "[{",
        "[1]",
        '{"a": 1}\n[]\n',
        '{"a": 1}\nnonsense\n',
        "a,b\n1\n",
        "INSERT INTO conversations (a, b) VALUES ('x');\n",
        "INSERT INTO conversations (a, b) VALUES ('x', 'y)\n",
        "COPY conversations (a, b) FROM stdin;\nx\n\\.\n",
        "COPY conversations (a) FROM stdin;\nx\n",
    ],
)
def test_other_files_and_damaged_dumps_are_invalid(file: Path, content: str) -> None:
    with pytest.raises(Invalid, match="The dump cannot be read"):
        read(file, content)


def test_other_bytes_are_invalid(file: Path) -> None:
    for content in (b"\xff\xfe\x00", b"SQLite format 3\x00 and then nothing", b'{"a": "\xff"}'):
        file.write_bytes(content)
        with pytest.raises(Invalid):
            list(files.read_rows(file))
