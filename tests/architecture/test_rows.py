"""Each fault, attack and goal that was promised a proof is named by one: `@pytest.mark.row("S1")`, ROWS in a bench."""

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


def named(path: Path) -> Iterator[str]:
    """Yield the rows that a file names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.row":
            yield from _words(node.args)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "ROWS" for to in node.targets):
            yield from _words(getattr(node.value, "elts", [node.value]))


def _words(nodes: list[ast.expr]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


PROVED = {row for path in FILES for row in named(path)}


@pytest.mark.row("R16")
def test_every_promised_row_is_proved_somewhere() -> None:
    assert sorted(PROMISED - PROVED, key=_number) == []


def test_only_rows_that_exist_are_named() -> None:
    last = {"S": 56, "F": 50, "R": 18}
    assert [row for row in sorted(PROVED) if not 1 <= _number(row)[1] <= last[row[0]]] == []


def _number(row: str) -> tuple[str, int]:
    return row[0], int(row[1:])
