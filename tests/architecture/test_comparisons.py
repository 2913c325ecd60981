"""Secrets are compared in constant time: no `==` on what is called one (reliability.md S51)."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.py"))
SECRET_ENDINGS = ("token", "secret", "signature", "digest")
HARMLESS = {
    "sandbox": "plays Meta, and knows no secret worth anything",
    "web/conditional.py": "a poll's token is the version of what is shown",
}


def compared(tree: ast.AST) -> list[ast.Compare]:
    """Return every == and != in which a name that ends like a secret stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
            sides = [node.left, *node.comparators]
            if any(_called(side).lower().endswith(SECRET_ENDINGS) for side in sides) and not _is_sql(sides):
                found.append(node)
    return found


def _called(side: ast.expr) -> str:
    if isinstance(side, ast.Name):
        return side.id
    if isinstance(side, ast.Attribute):
        return side.attr
    if isinstance(side, ast.Call):
        return _called(side.func)
    if isinstance(side, ast.Subscript):
        return _called(side.slice) if not isinstance(side.slice, ast.Constant) else str(side.slice.value)
    return ""


def _is_sql(sides: list[ast.expr]) -> bool:
    # A column: an attribute of a class, whose name begins with a capital.
    return any(
        isinstance(side, ast.Attribute) and isinstance(side.value, ast.Name) and side.value.id[:1].isupper()
        for side in sides
    )


@pytest.mark.row("S51")
def test_no_secret_is_compared_with_equals() -> None:
    caught = [
        f"{path.relative_to(APP)}:{node.lineno}"
        for path in FILES
        if not path.relative_to(APP).as_posix().startswith(tuple(HARMLESS))
        for node in compared(ast.parse(path.read_text()))
    ]
    assert caught == []


@pytest.mark.row("S51")
@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("token == given", True),
        ("given != self.app_secret", True),
        ("request.headers['signature'] == x", True),
        ("digest(x) == y", True),
        ("ApiToken.digest == digest(x)", False),
        ("tokens == 3", False),
        ("hmac.compare_digest(token, given)", False),
    ],
)
def test_the_lint_itself_finds_what_it_should(code: str, caught: bool) -> None:
    assert bool(compared(ast.parse(code))) is caught
