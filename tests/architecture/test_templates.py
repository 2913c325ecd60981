"""Templates hold nothing that the Content-Security-Policy refuses and nothing unused."""

import hashlib
import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[2] / "templates"
SPRITE = TEMPLATES.parent / "static" / "icons.svg"
FILES = sorted(TEMPLATES.rglob("*.html"))
INLINE = re.compile(
    r"""\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:|hx-on|\|\s*safe\b""", re.IGNORECASE
)


def name_of(path: Path) -> str:
    return path.relative_to(TEMPLATES).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_template_holds_inline_script_or_style_or_trusts_data(path: Path) -> None:
    assert INLINE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_template_imports_what_it_does_not_use(path: Path) -> None:
    source = path.read_text()
    for names in re.findall(r"{%-?\s*from\s+\S+\s+import\s+([^%]+?)(?:\s+with context)?\s*-?%}", source):
        for name in re.split(r"\s*,\s*", names.strip()):
            used = name.split(" as ")[-1].strip()
            assert len(re.findall(rf"\b{used}\b", source)) > 1, f"{used} is imported and not used"


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("_")], ids=name_of)
def test_each_part_says_first_what_it_needs(path: Path) -> None:
    assert path.read_text().startswith("{#")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_form_macro_writes_forms_that_post(path: Path) -> None:
    assert (name_of(path) == "macros/form.html") == ('method="post"' in path.read_text())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_icon_that_a_template_names_exists(path: Path) -> None:
    named = set(re.findall(r"""\bicon\(\s*["']([a-z0-9-]+)""", path.read_text()))
    assert named <= set(re.findall(r'<symbol id="([^"]+)"', SPRITE.read_text()))


def test_vendored_files_are_what_was_released() -> None:
    vendor = TEMPLATES.parent / "static" / "vendor"
    lines = (line.split() for line in (vendor / "SHA256SUMS").read_text().splitlines())
    listed = {name: digest for digest, name in lines}
    present = [path for path in vendor.rglob("*") if path.suffix in (".js", ".css", ".woff2")]
    assert {path.relative_to(vendor).as_posix() for path in present} == listed.keys()
    for path in present:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.relative_to(vendor).as_posix()]
