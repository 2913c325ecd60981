"""Output of commands: tables, facts and JSON, without terminal control characters and secrets."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.cli import output

NOON = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Thing:
    """A dataclass with a secret."""

    id: str
    at: datetime
    token: str
    parts: tuple[str, ...]


def test_json_keeps_ids_as_strings_and_leaves_secrets_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([Thing("17841400000000101", NOON, "IGAAsecret", ("a", "b"))])
    assert json.loads(capsys.readouterr().out) == [
        {"id": "17841400000000101", "at": "2026-11-20T12:00:00.000Z", "parts": ["a", "b"]}
    ]


def test_columns_are_as_wide_as_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID", "NAME"), [("1", "Léa"), ("10000", None)], empty="Nobody.")
    assert capsys.readouterr().out == "ID     NAME\n1      Léa\n10000  -\n"


def test_an_empty_table_says_so_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID",), [], empty="Nobody.")
    assert capsys.readouterr().out == "Nobody.\n"


def test_unknown_facts_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts([("state", "done"), ("reason", None), ("finishedAt", NOON)])
    assert capsys.readouterr().out == "state       done\nfinishedAt  2026-11-20T12:00:00.000Z\n"


@pytest.mark.parametrize("strange", ["\x1b[31mred", "a\x07", "a\u202eb"])
def test_what_a_terminal_would_act_upon_is_escaped(capsys: pytest.CaptureFixture[str], strange: str) -> None:
    output.say(strange)
    output.table(("NAME",), [(strange,)], empty="")
    assert not set(capsys.readouterr().out) & set("\x1b\x07\u202e")
