"""No secret is compared with `==`, whose duration tells an attacker how many leading characters are right.

Secrets are compared with `hmac.compare_digest`, or as digests in SQL. A secret is recognized by its name.
"""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.py"))
SECRET_ENDINGS = ("token", "secret", "signature", "digest")
HARMLESS = {
    "sandbox": "replaces Meta locally and holds no real secret",
    "web/conditional.py": "a change token is no secret",
}


def comparisons_of_secrets(tree: ast.AST) -> list[ast.Compare]:
    """Return every == and != with a name that ends like a secret."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
            sides = [node.left, *node.comparators]
            if any(_name(side).lower().endswith(SECRET_ENDINGS) for side in sides) and not _is_sql(sides):
                found.append(node)
    return found


def _name(side: ast.expr) -> str:
    if isinstance(side, ast.Name):
        return side.id
    if isinstance(side, ast.Attribute):
        return side.attr
    if isinstance(side, ast.Call):
        return _name(side.func)
    if isinstance(side, ast.Subscript):
        return _name(side.slice) if not isinstance(side.slice, ast.Constant) else str(side.slice.value)
    return ""


def _is_sql(sides: list[ast.expr]) -> bool:
    # A column: an attribute of a class, whose name begins with a capital.
    return any(
        isinstance(side, ast.Attribute) and isinstance(side.value, ast.Name) and side.value.id[:1].isupper()
        for side in sides
    )


def test_no_secret_is_compared_with_equals() -> None:
    caught = [
        f"{path.relative_to(APP)}:{node.lineno}"
        for path in FILES
        if not path.relative_to(APP).as_posix().startswith(tuple(HARMLESS))
        for node in comparisons_of_secrets(ast.parse(path.read_text()))
    ]
    assert caught == []


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
def test_comparisons_of_secrets_are_recognized(code: str, caught: bool) -> None:
    assert bool(comparisons_of_secrets(ast.parse(code))) is caught
