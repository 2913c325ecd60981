"""The documents tell the truth: each setting and command stands in them, and what stands in them exists."""

import re
from pathlib import Path

import pytest

from app.cli.main import COMMANDS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
def test_each_setting_is_in_the_readme_and_the_example(name: str) -> None:
    assert f"`{name}`" in README
    assert re.search(rf"^#?{name}=", EXAMPLE, re.MULTILINE)


def test_the_readme_and_the_example_name_no_other_setting() -> None:
    table = set(re.findall(r"`([A-Z][A-Z_]+)`", README))
    example = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    known = {field.upper() for field in Settings.model_fields}
    assert table <= known
    assert example == known


def test_each_command_is_in_the_readme() -> None:
    missing = [name for name in COMMANDS if not re.search(rf"`(nametag )?{name}[` ]", README)]
    assert missing == []


def test_each_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
