"""A constant is in one module: the same name with the same value elsewhere is a copy that drifts."""

import ast
from collections import defaultdict
from pathlib import Path

APP = Path(__file__).parents[2] / "app"
APART = ("sandbox/",)  # shares no code with what it tests
SAME_BY_CHANCE = {
    "CHUNK": "messages, and digests",
    "KEPT": "retention of several kinds of rows; tombstones say why they follow dead letters",
    "LIFE_SECONDS": "of two kinds of Redis keys",
    "CHUNK_BYTES": "of webhooks that are read, and of responses",
    "POLL_SECONDS": "two clients that wait for a job",
    "ME": "a kind of call, and a node of the Graph API",
    "PAGE": "entries of the audit log, and conversations that one call lists",
    "REMEMBERED": "three memories of one process",
    "SECONDS": "deadlines of two servers",
}


def constants(tree: ast.Module) -> list[tuple[str, str]]:
    """Return the names, without a leading underscore, and the values of a module's constants."""
    return [
        (target.id.lstrip("_"), ast.unparse(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.lstrip("_").isupper()
    ]


def test_no_constant_is_written_twice() -> None:
    found = defaultdict(list)
    for path in sorted(APP.rglob("*.py")):
        name = path.relative_to(APP).as_posix()
        if not name.startswith(APART):
            for constant in constants(ast.parse(path.read_text())):
                found[constant].append(name)
    copies = {constant[0]: files for constant, files in found.items() if len(files) > 1}
    assert set(copies) == set(SAME_BY_CHANCE), copies
