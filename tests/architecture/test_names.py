"""Names in app/ are unique and say what they return, so that a search finds one place."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The sandbox is a program of its own. Response models carry the schema names of the OpenAPI document.
APART = ("app/sandbox/", "app/api/responses.py", "app/api/schemas.py")


def test_classes_have_unique_names_and_no_function_is_called_of() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                assert node.name != "of", f"{name}:{node.lineno}: name the function after what it returns"
            if isinstance(node, ast.ClassDef) and not name.startswith(APART):
                places[node.name].append(f"{name}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
