"""Problem documents."""

import pytest

from app import problem_details


def test_a_document_says_what_happened_and_may_say_more() -> None:
    document = problem_details.document(409, "Already running: job abc.", jobId="abc")
    assert document == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Already running: job abc.",
        "jobId": "abc",
    }


@pytest.mark.parametrize(
    ("status", "title"),
    [(400, "Bad Request"), (404, "Not Found"), (413, "Content Too Large"), (422, "Unprocessable Content")],
)
def test_a_title_is_the_phrase_of_the_http_status(status: int, title: str) -> None:
    assert problem_details.document(status, "Why.")["title"] == title
