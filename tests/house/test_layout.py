"""The house itself: where things are, how large they are, and that each has its test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py")
MODULE_LINES = 250
FUNCTION_LINES = 50

# Modules whose behaviour shows only from outside, and where it is tested instead.
TESTED_ELSEWHERE = {
    "clock.py": "every test that moves time",
    "errors.py": "the doors' tests of each translation",
    "viewer.py": "tests/runs/test_plan.py and the doors' tests of roles",
    "tasks.py": "tests/house/test_tasks.py and tests/whole",
    "factory.py": "every test that has an app",
    "core.py": "every test of a command or a worker",
    "db/engine.py": "tests/db/test_transaction.py",
    "models/inbox.py": "tests/db/test_migrate.py",
    "models/identity.py": "tests/db/test_migrate.py",
    "models/run.py": "tests/db/test_migrate.py",
    "models/user.py": "tests/db/test_migrate.py",
    "ingest/rows.py": "tests/ingest/test_apply.py",
    "instagram/events.py": "tests/instagram/test_webhook.py",
    "sandbox/accounts.py": "tests/sandbox/test_control.py",
    "sandbox/server.py": "tests/sandbox/test_control.py and test_graph.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "app").as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_has_its_mirror_test(path: Path) -> None:
    name = name_of(path)
    mirror = ROOT / "tests" / Path(name).parent / f"test_{path.stem.strip('_')}.py"
    assert mirror.exists() or name in TESTED_ELSEWHERE, f"{name} has no {mirror.relative_to(ROOT)}"


@pytest.mark.parametrize("path", sorted((ROOT / "app").rglob("__init__.py")), ids=name_of)
def test_each_package_file_is_a_docstring_alone(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_and_no_function_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    long = [node.name for node in functions(path) if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_and_public_function_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    public = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    silent = [
        node.name
        for node in tree.body
        if isinstance(node, public) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []
