"""Headers of every response, whatever its status."""

import json
import logging

import pytest
from flask import Flask, Response, abort
from flask.testing import FlaskClient

from app import settings
from app.factory import create_app
from app.web import headers, rendering
from tests.web.browsing import part, signed_in


def addresses(client: FlaskClient) -> dict[int, tuple[str, str]]:
    return {
        200: ("GET", "/login"),
        303: ("GET", "/inbox"),
        400: ("POST", "/login"),
        401: ("POST", "/webhooks/instagram"),
        403: ("GET", "/webhooks/instagram?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"),
        404: ("GET", "/nothing"),
        405: ("DELETE", "/login"),
    }


@pytest.mark.parametrize("status", [200, 303, 400, 401, 403, 404, 405])
def test_every_response_is_guarded(client: FlaskClient, status: int) -> None:
    method, address = addresses(client)[status]
    answer = client.open(address, method=method)
    assert answer.status_code == status
    for name in (*headers.FIXED, "Content-Security-Policy", "X-Request-Id"):
        assert answer.headers.getlist(name) != [], name
        assert len(answer.headers.getlist(name)) == 1
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert {"HX-Request", "Cookie"} <= set(answer.vary)


def test_unchanged_polls_and_static_files_are_guarded_too(app: Flask) -> None:
    client = signed_in(app)
    first = part(client, "/inbox/list")
    again = part(client, "/inbox/list", If_None_Match=first.headers["ETag"])
    with client.get("/static/app.css") as static:
        assert (again.status_code, static.status_code) == (304, 200)
        for answer in (again, static):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Content-Security-Policy" in answer.headers


def test_media_may_come_from_the_configured_hosts_only() -> None:
    policy = headers.policy(("fbcdn.net", "127.0.0.1:5061"))
    media = "'self' https://fbcdn.net https://*.fbcdn.net http://127.0.0.1:5061"
    assert f"media-src {media};" in policy
    assert f"img-src {media.replace(chr(39) + ' ', chr(39) + ' data: ', 1)};" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_https_is_remembered_only_over_https(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/login").headers
    secure = client.get("/login", base_url="https://localhost")
    assert "max-age=31536000" in secure.headers["Strict-Transport-Security"]


def test_a_fault_shows_its_request_id_and_nothing_else(
    sqlite_database: str, redis_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    with settings.using(database_url=sqlite_database, redis_url=redis_server):
        app = create_app()

        @app.get("/fault")
        def fault() -> str:
            raise RuntimeError("marker-of-a-fault SELECT secret")

        client = signed_in_to(app)
        with caplog.at_level(logging.ERROR):
            answer = client.get("/fault")
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in answer.text
    for told in ("marker", "SELECT", "Traceback", "/app/", "RuntimeError", "Werkzeug"):
        assert told not in answer.text
    assert "marker-of-a-fault" in caplog.text


def signed_in_to(app: Flask) -> FlaskClient:
    with app.app_context():
        return signed_in(app)


def test_two_requests_have_two_ids(client: FlaskClient) -> None:
    first, second = (client.get("/healthz").headers["X-Request-Id"] for _ in range(2))
    assert first != second


def test_every_status_is_guarded_and_tells_no_stranger_what_runs_here(sqlite_database: str, redis_server: str) -> None:
    with settings.using(database_url=sqlite_database, redis_url=redis_server):
        app = create_app()
        app.add_url_rule("/told/<int:status>", "told", lambda status: abort(status))
        client = signed_in_to(app)
        for status in (400, 401, 403, 404, 405, 413, 422, 429, 500, 503):
            for asked in ({}, {"HX-Request": "true"}):
                answer = client.get(f"/told/{status}", headers=asked)
                assert answer.status_code == status
                for name in (*headers.FIXED, "Content-Security-Policy", "X-Request-Id"):
                    assert len(answer.headers.getlist(name)) == 1, (status, name)
                policy = answer.headers["Content-Security-Policy"]
                assert "unsafe" not in policy
                assert {"object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
                assert "Werkzeug" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1\u202e\U0001f600", "\u2028\x00\x1b[2J", '"}, "toast": {'])
def test_no_name_in_a_toast_ends_its_header(app: Flask, name: str) -> None:
    with app.test_request_context("/inbox"):
        answer = rendering.trigger_events(Response(), rendering.toast(name))
    assert [key for key, _ in answer.headers].count("Set-Cookie") == 0
    written = answer.headers["HX-Trigger"]
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["toast"]["text"] == name
