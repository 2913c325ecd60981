"""The data model in docs/architecture.md shows exactly the tables of the database."""

import re
from pathlib import Path

from app import core
from app.db.engine import db

DOCUMENT = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
MODELS = core.TABLES  # importing them fills db.metadata
RELATION = re.compile(r"(\w+)(?: [|}{o]{2}--[|}{o]{2} (\w+) : .+)?")


def drawn_tables() -> set[str]:
    """Return the entities of the Mermaid diagram."""
    diagram = DOCUMENT.partition("```mermaid\nerDiagram\n")[2].partition("```")[0]
    relations = [RELATION.fullmatch(line.strip()) for line in diagram.splitlines()]
    assert all(relations), "every line names one table, or two and their relation"
    return {name for relation in relations if relation for name in relation.groups() if name}


def described_tables() -> list[str]:
    """Return the first column of the table below the diagram, without the backticks."""
    section = DOCUMENT.partition("| Table | One row is |")[2]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_diagram_draws_exactly_the_tables_of_the_database() -> None:
    assert drawn_tables() == set(db.metadata.tables)


def test_each_table_of_the_database_is_described_once() -> None:
    assert sorted(described_tables()) == sorted(db.metadata.tables)
