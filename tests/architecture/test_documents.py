"""Documents list every setting and command, and name only settings, commands, files and headings that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from app.cli.main import COMMANDS, main
from app.settings import SECRETS, Settings

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
    assert table <= known | {f"{name}_FILE" for name in SECRETS}
    assert example == known


def test_each_command_is_in_the_readme() -> None:
    missing = [name for name in COMMANDS if not re.search(rf"`(nametag )?{name}[` ]", README)]
    assert missing == []


def commands_in(document: Path) -> list[list[str]]:
    """Return the words of each `nametag …` line in the document's blocks of shell commands."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line.split("#")[0].rpartition("| ")[2].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("nametag ")]


@pytest.mark.parametrize("document", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_each_command_of_a_document_exists_with_its_options(document: Path) -> None:
    for words in commands_in(document):
        command: click.Command = main
        rest = words
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), rest[0])
            assert found, f"{document.name}: nametag {' '.join(words)}"
            command, rest = found, rest[1:]
        known = {option for each in command.params for option in each.opts}
        assert {word for word in rest if word.startswith("--")} <= known, f"{document.name}: nametag {' '.join(words)}"


def test_the_documents_for_operators_have_commands() -> None:
    assert all(commands_in(ROOT / "docs" / name) for name in ("backup.md", "upgrade.md"))


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda path: path.name)
def test_each_link_of_a_document_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{document.name} links to {target}#{anchor}"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md"])
def test_each_file_that_a_document_names_exists(name: str) -> None:
    named = re.findall(r"`(\w[\w/.]*(?:\.py|/)|templates/[\w/.]+\.html)`", (ROOT / name).read_text())
    assert named
    assert [path for path in dict.fromkeys(named) if not _exists(path)] == []


def _exists(path: str) -> bool:
    return any((folder / path).exists() for folder in (ROOT, ROOT / "app")) or (
        "/" not in path and any((ROOT / "app").rglob(path))
    )


def test_each_citation_of_meta_platform_names_a_heading() -> None:
    cited = {
        anchor
        for folder in ("app", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for anchor in re.findall(r"docs/meta-platform\.md#([\w-]+)", path.read_text())
    }
    assert cited <= anchors(ROOT / "docs" / "meta-platform.md")


def test_the_installation_guide_names_each_secret_that_may_be_a_file() -> None:
    guide = (ROOT / "docs" / "install.md").read_text()
    section = guide.partition("## Secrets in files")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z_]+)`", section)) == SECRETS
