"""The benchmarks, which run for an hour, fit the present schema."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from sqlalchemy import TextClause, text

from app.db.engine import db
from tests.support.processes import ROOT

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s")
IN_BRACES = re.compile(r"\{\w+\}")  # what a bench fills in for each database
OF_POSTGRESQL = "pg_"


def statements(path: Path) -> set[str]:
    """Return the SQL statements that a module holds as constants, anywhere in it."""
    module = importlib.import_module(f"bench.{path.stem}")
    nodes = list(ast.walk(ast.parse(path.read_text())))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    written = (node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in parts)
    found = {str(each) for each in (*vars(module).values(), *written) if isinstance(each, str | TextClause)}
    found = {each for each in found if STATEMENT.match(each) and OF_POSTGRESQL not in each}
    return {each for each in found if not any(other.startswith(each) for other in found - {each})}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("[a-z]*.py")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("app")
def test_each_statement_of_a_benchmark_fits_the_schema(path: Path) -> None:
    for statement in statements(path):
        explained = text("EXPLAIN " + IN_BRACES.sub("NULL", statement))
        db.session.execute(explained, dict.fromkeys(explained.compile().params))
