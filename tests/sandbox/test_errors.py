"""The sandbox's errors match those reported by integrators (samples/graph-*-error-*.json)."""

import json
from pathlib import Path

import pytest

from app.sandbox import errors

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("graph-profile-error-*.json"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem.removeprefix("graph-profile-error-"))
def test_each_sample_error_has_the_code_of_the_sample(path: Path) -> None:
    sample = json.loads(path.read_text())
    seen = sample.get("body", sample)["error"]
    _, body = errors.error(path.stem.removeprefix("graph-profile-error-"))
    assert body["error"]["code"] == seen["code"]
    assert body["error"].get("error_subcode") == seen.get("error_subcode")
    assert body["error"]["type"] == seen["type"]


def test_every_error_has_a_status_a_message_and_a_trace() -> None:
    for name in errors.NAMES:
        status, body = errors.error(name)
        assert 400 <= status <= 599
        assert body["error"]["message"]
        assert body["error"]["fbtrace_id"]
        assert errors.code_of(body) == body["error"]["code"]


@pytest.mark.parametrize("body", [{}, {"id": "1"}, [], "text", {"error": {"code": "230"}}])
def test_a_success_has_no_code(body: object) -> None:
    assert errors.code_of(body) is None
