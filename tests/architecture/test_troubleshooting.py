"""docs/troubleshooting.md has a row for each check and each message of `nametag doctor`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text()
ROWS = DOCUMENT.partition("\n## Messages of nametag doctor\n")[2].splitlines()
# Functions, properties and tables whose texts are messages of findings, besides the literal ones in doctor.py.
SOURCES = {
    "app/accounts/tokens.py": ("token_expiry",),
    "app/accounts/subscriptions.py": ("error", "warning"),
    "app/calls/refusals.py": ("_OUTAGE", "_WHAT"),
    "app/db/migrate.py": ("problem",),
    "app/redis_checks.py": (
        *("require_supported", "_require_permission", "_require_no_foreign_keys"),
        *("explain", "_ANSWERS", "_explain_timeout", "_explain_tls"),
    ),
}
LEAST = 9  # characters: shorter texts are part of a longer one


def findings() -> Iterator[tuple[ast.expr, ast.expr, ast.FunctionDef]]:
    """Yield check, message and enclosing function of each Finding in doctor.py."""
    for function in ast.parse((ROOT / "app/doctor.py").read_text()).body:
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                    yield node.args[0], node.args[2], function


def parts_of(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield the literal parts of each text in an expression; an f-string is one text."""
    if isinstance(node, ast.JoinedStr):
        yield tuple(str(each.value) for each in node.values if isinstance(each, ast.Constant))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield (node.value,)
    else:
        for child in ast.iter_child_nodes(node):
            yield from parts_of(child)


def assigned(name: str, function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield what a function assigns to a variable."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            yield node.value


def messages_of_doctor() -> Iterator[tuple[str, ...]]:
    """Yield the literal parts of each message that doctor.py contains."""
    for _, message, function in findings():
        for value in [*assigned(message.id, function)] if isinstance(message, ast.Name) else [message]:
            yield from parts_of(value)


def messages_of_others() -> Iterator[tuple[str, ...]]:
    """Yield the literal parts of each message that doctor.py takes from other modules."""
    for path, names in SOURCES.items():
        found = set()
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            name = getattr(node, "name", None)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
            if name in names and isinstance(node, ast.FunctionDef | ast.Assign):
                found.add(name)
                for statement in node.body if isinstance(node, ast.FunctionDef) else [node.value]:
                    is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
                    yield from () if is_docstring else parts_of(statement)
        assert found == set(names), path


def texts(found: Iterator[tuple[str, ...]], *, least: int) -> list[tuple[str, ...]]:
    """Return the texts with at least `least` characters, each once; longer ones must have a space: others are keys."""
    distinct = dict.fromkeys(tuple(part.strip(" .:;,“”") for part in each) for each in found)
    return [each for each in distinct if len("".join(each)) >= least and (least < LEAST or " " in "".join(each))]


@pytest.mark.parametrize(
    "parts", texts(messages_of_doctor(), least=1) + texts(messages_of_others(), least=LEAST), ids=" … ".join
)
def test_each_message_of_doctor_has_a_row(parts: tuple[str, ...]) -> None:
    pattern = re.compile(".*".join(map(re.escape, parts)))
    assert any(pattern.search(row) for row in ROWS if row.startswith("| ")), parts


def test_each_check_of_doctor_has_a_section() -> None:
    checks = {check.value for check, _, _ in findings() if isinstance(check, ast.Constant)}
    headings = {row.removeprefix("### ") for row in ROWS if row.startswith("### ")}
    assert {"database", "redis", "lookups"} <= checks <= headings
    assert {"scheduler and worker QUEUE", "account ID"} <= headings
