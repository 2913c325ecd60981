"""Each fault, attack and goal that was promised a proof is named by one: `@pytest.mark.row("S1")`, or ROWS in a bench."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
FAULTS = (*range(5, 12), *range(15, 30), 38, 39)
GOALS = (4, 5, 6, 9, 10, *range(12, 17), 18)
PROMISED = {f"S{number}" for number in range(1, 57)}
PROMISED |= {f"F{number}" for number in FAULTS} | {f"R{number}" for number in GOALS}
EXCEPTIONS: dict[str, str] = {}


def named(path: Path) -> Iterator[str]:
    """Yield the rows that a file names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "row":
            yield from _words(node.args)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "ROWS" for to in node.targets):
            yield from _words(getattr(node.value, "elts", [node.value]))


def _words(nodes: list[ast.expr]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


PROVED = {row for path in FILES for row in named(path)}


def test_every_promised_row_is_proved_somewhere() -> None:
    missing = sorted(PROMISED - PROVED - EXCEPTIONS.keys(), key=_number)
    assert missing == []


def test_no_exception_outlives_its_reason() -> None:
    assert sorted(EXCEPTIONS.keys() & PROVED) == []
    assert set(EXCEPTIONS) <= PROMISED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_rows_that_exist_are_named(path: Path) -> None:
    odd = [row for row in named(path) if row[:1] not in "SFR" or not row[1:].isdigit() or not 1 <= _number(row)[1] <= 56]
    assert odd == []


def _number(row: str) -> tuple[str, int]:
    return row[0], int(row[1:])
