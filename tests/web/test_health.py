"""The liveness check."""

from flask.testing import FlaskClient


def test_a_living_process_says_so_without_a_session(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "Set-Cookie" not in answer.headers
