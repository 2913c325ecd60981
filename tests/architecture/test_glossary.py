"""The glossary names code that exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
APP = ROOT / "app"


def rows(document: str) -> list[list[str]]:
    """Return the cells of each row under a table heading whose last column is "In code"."""
    found: list[list[str]] = []
    wanted = False
    for line in document.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            wanted = False
        elif cells[-1] == "In code":
            wanted = True
        elif wanted and not set(cells[-1]) <= {"-"}:
            found.append(cells)
    return found


def defined_names() -> set[str]:
    """Return the names of modules, classes, functions, parameters, attributes, columns and tables in app/."""
    names: set[str] = set()
    for path in APP.rglob("*.py"):
        names |= {path.stem, path.parent.name}
        for node in ast.walk(ast.parse(path.read_text())):
            names.update(_names(node))
    return names


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id
                if target.id == "__tablename__" and isinstance(node.value, ast.Constant):
                    yield str(node.value.value)


def test_each_name_in_the_code_column_is_defined_in_the_app() -> None:
    defined = defined_names()
    undefined = {
        f"{term}: {name}"
        for term, *_, in_code in rows(GLOSSARY)
        for name in re.findall(r"`(\w+)`", in_code)
        if name not in defined
    }
    assert undefined == set()


def test_each_term_is_defined_once_and_names_code() -> None:
    terms = [term for table_row in rows(GLOSSARY) for term in table_row[0].split(", ")]
    assert len(terms) > 50
    assert sorted(terms) == sorted(set(terms))
    assert [table_row[0] for table_row in rows(GLOSSARY) if not re.search(r"`\w+`", table_row[-1])] == []
