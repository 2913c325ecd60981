"""Problem documents."""

from app import problem


def test_a_document_says_what_happened_and_may_say_more() -> None:
    document = problem.document(409, "Already running: job abc.", jobId="abc")
    assert document == {
        "type": "about:blank",
        "title": "Not now",
        "status": 409,
        "detail": "Already running: job abc.",
        "jobId": "abc",
    }
    assert problem.document(418, "Tea.")["title"] == "Problem"
