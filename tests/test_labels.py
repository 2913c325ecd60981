"""Labels of enums: one for each member, and no dictionary in code or templates that lacks a member."""

import ast
import importlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from jinja2 import Environment, nodes

from app.instagram import events
from app.labels import LABELS, label
from app.models.account import Login
from app.models.call import Purpose
from app.models.run import ItemState
from app.reply_state import WindowState
from app.viewer import Role
from tests.calls.lookups import made
from tests.factories import an_account
from tests.web.browsing import signed_in

ROOT = Path(__file__).parents[1]
MODULES = sorted(each for each in (ROOT / "app").rglob("*.py") if "sandbox" not in each.parts)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
ENUMS: tuple[type[StrEnum], ...] = (*LABELS, events.EventKind)  # those whose values templates compare with

# Members that have no place in a dictionary, by the file that holds it.
LEFT_OUT: dict[str, set[StrEnum]] = {
    "app/reply_state.py": {WindowState.NONE},  # no time to compare
    "app/runs/items.py": {ItemState.PENDING},  # counts what is settled
    "app/calls/oauth_flow.py": {Login.UNIFIED},  # its tokens are pasted
    "app/calls/credentials.py": {Login.INSTAGRAM},  # the node "me"
    "app/instagram/previews.py": {*events.EventKind},  # what differs for our own messages; a test walks all kinds
    "templates/macros/icon.html": {events.EventKind.TEXT},  # the text itself is the preview
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("enum", LABELS, ids=lambda enum: enum.__name__)
def test_every_member_has_a_label_of_its_own(enum: type[StrEnum]) -> None:
    labels = [label(member) for member in enum]
    assert len(set(labels)) == len(labels)
    assert "Other" not in labels


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_dictionary_keyed_by_an_enum_has_every_member(path: Path) -> None:
    tree = ast.parse(path.read_text())
    module = importlib.import_module(name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    for node in ast.walk(tree):
        keys: set[StrEnum] = set(_members(node.keys, module)) if isinstance(node, ast.Dict) else set()
        enums: set[type[StrEnum]] = {type(key) for key in keys}
        for enum in enums:
            missing = {*enum} - keys - LEFT_OUT.get(name_of(path), set())
            assert not missing, f"{name_of(path)}:{getattr(node, 'lineno', 0)} lacks {missing}"


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_dictionary_of_a_template_keyed_by_an_enum_has_every_member(path: Path) -> None:
    for node in Environment(autoescape=True).parse(path.read_text()).find_all(nodes.Dict):
        keys = {pair.key.value for pair in node.items if isinstance(pair.key, nodes.Const)}
        for enum in (each for each in ENUMS if len(keys) > 1 and keys <= {*each}):
            assert not {*enum} - keys - LEFT_OUT.get(name_of(path), set()), f"{name_of(path)}:{node.lineno}"


def test_dictionaries_keyed_by_enums_are_found() -> None:
    tree = ast.parse("TABLE = {Purpose.LIVE: 1, 'other': 2, Purpose.nothing: 3}")
    [table] = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    assert list(_members(table.keys, importlib.import_module("app.labels"))) == [Purpose.LIVE]


@pytest.mark.parametrize("purpose", Purpose)
def test_pages_name_what_the_calls_of_the_hour_were_made_for(app: Flask, purpose: Purpose) -> None:
    made(an_account().id, 1, purpose=purpose)
    admin = signed_in(app, Role.ADMIN)
    for address in ("/inbox", "/jobs", "/accounts", "/insights", "/identities", "/settings", "/users", "/audit"):
        page = admin.get(address)
        assert page.status_code == 200, address
        assert label(purpose) in page.text, address


def _members(keys: list[ast.expr | None], module: ModuleType) -> Iterator[StrEnum]:
    for key in keys:
        if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name):
            member = getattr(getattr(module, key.value.id, None), key.attr, None)
            if isinstance(member, StrEnum):
                yield member
