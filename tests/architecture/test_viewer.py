"""Which accounts a viewer sees is asked of the viewer: nothing else reads its `account_ids`."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.py"))
OWN = {"viewer.py": "the rule itself", "users/": "stores account access"}
OTHER = {  # `account_ids` of something that is no viewer, or that a search index must be given
    "alerts/outbox.py": ("AlertReceiver", "row"),
    "alerts/receivers.py": ("row",),
    "accounts/connect.py": ("holder", "row"),
    "erasure/accounts.py": ("model", "row"),
    "cli/tokens.py": ("each",),
    "cli/users.py": ("user",),
    "identities/listing.py": ("viewer",),
    "inbox/api_queries.py": ("viewer",),
    "inbox/listing.py": ("viewer",),
    "inbox/search.py": ("self",),
    "search_index.py": ("wanted",),
    "instagram/client.py": ("credential",),
    "read_state.py": ("User", "row"),
}


def account_ids_read(tree: ast.AST) -> list[str]:
    """Return the expressions whose `account_ids` are read."""
    return [
        ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "account_ids"
    ]


def test_only_the_viewer_reads_its_accounts() -> None:
    read = {
        (name, value)
        for path in FILES
        if not (name := path.relative_to(APP).as_posix()).startswith(tuple(OWN))
        for value in account_ids_read(ast.parse(path.read_text()))
    }
    assert read == {(name, value) for name, values in OTHER.items() for value in values}


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("found.where(Run.account_id.in_(viewer.account_ids))", ["viewer"]),
        ("session.viewer().account_ids is None", ["session.viewer()"]),
        ("viewer.visible(found, Run.account_id)", []),
        ("get_insights(account_ids)", []),
    ],
)
def test_the_check_itself_finds_a_filter_written_by_hand(code: str, read: list[str]) -> None:
    assert account_ids_read(ast.parse(code)) == read
