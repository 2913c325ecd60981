"""Strict reading of JSON that others wrote, and that nothing else reads it."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.strict_json import MAX_DEPTH, load_json

APP = Path(__file__).parents[1] / "app"
OWN = {
    "strict_json.py": "the reader itself",
    "instagram/webhook.py": "repairs a signed delivery instead of refusing it",
    "alerts/deliveries.py": "a payload that Nametag stored in its database",
    "backup/tables.py": "rows whose digest was checked; they may hold any value that a table has",
    "cli/demo.py": "an answer of the sandbox",
    "db/migrate.py": "a file of the package",
    "sandbox/server.py": "stands in for Meta, and shares no code",
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int) -> str:
    """Return an array with `levels` levels."""
    return "[" * levels + "]" * levels


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_input_gives_a_value_or_a_value_error(body: bytes | str) -> None:
    try:
        load_json(body)
    except ValueError:
        return


@given(values)
def test_what_json_can_say_is_read_unchanged(value: object) -> None:
    assert load_json(json.dumps(value)) == value
    assert load_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a": 1} x', b"{'a': 1}"),
        *(b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"1e999", b"-1e400", b"9" * 5_000),
        *(nested(MAX_DEPTH + 1), nested(100_000), '{"a":' * 40 + "1" + "}" * 40, "[" * 100_000),
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_cannot_be_passed_on_is_refused(body: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_json(body)


@pytest.mark.parametrize(("levels", "refused"), [(1, False), (2, False), (3, True)])
def test_the_depth_can_be_limited_further(levels: int, refused: bool) -> None:
    if refused:
        with pytest.raises(ValueError, match="nested too deep"):
            load_json(nested(levels), max_depth=2)
    else:
        assert load_json(nested(levels), max_depth=2) == ([[]] if levels == 2 else [])


def test_a_value_without_nesting_is_not_deep() -> None:
    assert load_json("7", max_depth=0) == 7


def test_ids_above_two_to_the_53_keep_every_digit() -> None:
    assert load_json(b'{"number": 9990000000000023}') == {"number": 9990000000000023}


def test_nothing_else_reads_json() -> None:
    reading = {
        path.relative_to(APP).as_posix()
        for path in sorted(APP.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"json.loads", "json.load", "json.JSONDecoder"}
    }
    assert reading == set(OWN)
