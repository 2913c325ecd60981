"""Descriptions of problem documents."""

from app.api import responses


def test_every_problem_is_a_problem_document() -> None:
    assert {401, 403, 404, 409, 422, 429, 503} <= set(responses.PROBLEMS)
    for described in responses.PROBLEMS.values():
        assert list(described["content"]) == ["application/problem+json"]
