"""Account and Instagram ID identify a contact: models say so once, and queries do not compare the columns by hand."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.py"))
OWN = {
    "models/contact.py": "the rule itself",
    "models/run.py": "the item of a contact: the run has the account",
}
OTHER = {
    "calls/refusals.py": "contacts of the calls of one account, which the query has selected already",
    "identities/contact_reference.py": "an ID that a user typed, in any account",
    "ingest/message_updates.py": "the conversation is known; is the sender its contact?",
}


def contacts_compared(tree: ast.AST) -> list[str]:
    """Return the comparisons of a model's `ig_participant_id`, except with run items, which have another key."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(map(_is_column, (node.left, *node.comparators))):
            found.append(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "in_":
            found += [node] if _is_column(node.func.value) else []
    return [ast.unparse(node) for node in found]


def _is_column(node: ast.expr) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr != "ig_participant_id" or not isinstance(node.value, ast.Name):
        return False
    return node.value.id in {"cls", "model", "table"} or (node.value.id[:1].isupper() and node.value.id != "RunItem")


def test_no_query_compares_the_key_of_a_contact_by_hand() -> None:
    by_hand = {
        name
        for path in FILES
        if (name := path.relative_to(APP).as_posix()) not in OWN and contacts_compared(ast.parse(path.read_text()))
    }
    assert by_hand == set(OTHER)


def test_the_item_of_a_contact_in_a_run_is_selected_once() -> None:
    by_hand = [
        path.relative_to(APP).as_posix() for path in FILES if "RunItem.ig_participant_id == " in path.read_text()
    ]
    assert by_hand == ["erasure/contact_data.py"]  # the items of a contact in all runs of an account


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("Identity.account_id == a, Identity.ig_participant_id == b", ["Identity.ig_participant_id == b"]),
        (
            "x.c.ig_participant_id == Identity.ig_participant_id",
            ["x.c.ig_participant_id == Identity.ig_participant_id"],
        ),
        ("Identity.ig_participant_id.in_(ids)", ["Identity.ig_participant_id.in_(ids)"]),
        ("RunItem.ig_participant_id.in_(ids)", []),
        ("row.ig_participant_id == sender", []),
        ("Identity.is_contact(a, b)", []),
    ],
)
def test_the_check_itself_finds_a_comparison_by_hand(code: str, found: list[str]) -> None:
    assert contacts_compared(ast.parse(code)) == found
