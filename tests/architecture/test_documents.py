"""Documents list every setting and command, and name only settings, commands, files and headings that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
from cryptography.fernet import Fernet

from app.cli.main import COMMANDS, main
from app.settings import LEAST_CHARACTERS, SECRETS, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
NAMES = {field.upper() for field in Settings.model_fields}


def name_of(document: Path) -> str:
    """Return the path of a document in the repository, as the name of its test."""
    return document.relative_to(ROOT).as_posix()


def reference(name: str) -> tuple[str, ...]:
    """Return type, default, requirement and example of a setting, as its section of docs/settings.md has them."""
    section = SETTINGS.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    row = re.search(r"^\| --- .*\n\| (.+) \|$", section, re.MULTILINE)
    assert row, f"docs/settings.md has no table for {name}"
    return tuple(re.split(r" (?<!\\)\| ", row[1]))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_setting_has_a_section_and_is_in_the_example(name: str) -> None:
    kind, default, _, _ = reference(name)
    assert kind.startswith("secret") is (name in SECRETS)
    assert (name not in LEAST_CHARACTERS) or f"at least {LEAST_CHARACTERS[name]} characters" in kind
    value = Settings.model_fields[name.lower()].get_default()
    if isinstance(value, tuple):
        value = ",".join(value)
    if name != "NAMETAG_HOME" and isinstance(value, bool | int | float | str | Path) and str(value):
        assert default == f"`{str(value).lower() if isinstance(value, bool) else value}`"
    assert re.search(rf"^#?{name}=", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_example_of_a_setting_is_valid(name: str) -> None:
    example = re.fullmatch(r"`([^`… ]+)`", reference(name)[3])
    if example is None:  # a secret, or a command that makes one
        assert name in SECRETS
        return
    needed = {
        "secret_key": "k" * 32,
        "token_encryption_keys": Fernet.generate_key().decode(),
        "meta_app_secrets": "s" * 16,
        "meta_verify_token": "v" * 16,
    }
    Settings.model_validate(needed | {name.lower(): example[1]})


def test_documents_and_the_example_name_no_other_setting() -> None:
    assert set(re.findall(r"^### (\S+)$", SETTINGS, re.MULTILINE)) == NAMES
    assert set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE)) == NAMES
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", README + SETTINGS))
    assert named <= NAMES | {f"{name}_FILE" for name in SECRETS}


def test_each_command_is_in_the_reference_of_commands() -> None:
    headings = re.findall(r"^### nametag (\S+)$", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert headings == sorted(COMMANDS)


def test_the_readme_leads_to_each_document() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", README))
    assert linked == {name_of(document) for document in DOCUMENTS} - {"README.md"}


def commands_in(document: Path) -> list[list[str]]:
    """Return the words of each `nametag …` line in the document's blocks of shell commands."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line.split("#")[0].rpartition("| ")[2].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("nametag ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
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


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=name_of)
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
