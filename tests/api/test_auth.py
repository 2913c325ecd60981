"""Authentication of API clients: tokens, bodies, rate limits, and errors as problem documents."""

import io
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import audit, settings
from app.api import auth
from app.users import api_tokens, rate_limit
from app.viewer import OPERATOR
from tests.api.clients import ApiClient, an_api_client, problem
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.web.browsing import signed_in

ACCOUNTS = "/api/accounts"
BACKFILL = "/api/workers/backfill-profiles"


@pytest.fixture
def crm(app: Flask) -> ApiClient:
    an_account()
    return an_api_client(app)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer nametag_x", "Basic abc", "Bearer \xe9"])
def test_without_a_token_that_works_nobody_comes_in(client: FlaskClient, header: str) -> None:
    answer = client.get(ACCOUNTS, headers={"Authorization": header} if header else {})
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_address_counts_for_nothing(crm: ApiClient) -> None:
    problem(crm.client.get(f"{ACCOUNTS}?access_token={crm.secret}"), 401)


def test_a_session_is_no_token(app: Flask) -> None:
    problem(signed_in(app).get(ACCOUNTS), 401)


def test_a_revoked_token_ends_at_once(crm: ApiClient) -> None:
    assert crm.get(ACCOUNTS).status_code == 200
    api_tokens.revoke(OPERATOR, "crm")
    problem(crm.get(ACCOUNTS), 401)


def test_refused_tokens_and_calls_are_in_the_audit_log(app: Flask) -> None:
    other = an_account(ATELIER_NORD)
    an_account()
    limited = an_api_client(app, accounts=[other.id])
    reader = an_api_client(app, "read", name="reader")
    gone = an_api_client(app, name="gone")
    api_tokens.revoke(OPERATOR, "gone")
    problem(app.test_client().get(ACCOUNTS), 401)  # without a token: nothing to record
    problem(ApiClient(app, "nametag_unknown").get(ACCOUNTS), 401)
    problem(gone.get(ACCOUNTS), 401)
    problem(reader.post(BACKFILL, json={"accountId": MAISON_LUNE}), 403)
    problem(limited.post(BACKFILL, json={"accountId": MAISON_LUNE}), 404)
    problem(reader.get("/api/jobs/ffffffffffff"), 404)  # sees every account: it does not exist
    entries, _ = audit.page(OPERATOR, audit.AuditFilter())
    found = [(each.actor, each.action.value, each.subject, each.route, each.address) for each in reversed(entries)]
    assert [each for each in found if each[3]] == [
        ("stranger", "api_token_refused", None, f"GET {ACCOUNTS}", "127.0.0.1"),
        ("stranger", "api_token_refused", "token 3", f"GET {ACCOUNTS}", "127.0.0.1"),
        ("token 2", "access_refused", None, f"POST {BACKFILL}", "127.0.0.1"),
        ("token 1", "data_not_visible", None, f"POST {BACKFILL}", "127.0.0.1"),
    ]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_only_json_is_taken(crm: ApiClient, kind: str) -> None:
    body = f'{{"accountId": "{MAISON_LUNE}"}}'
    problem(crm.post(BACKFILL, data=body, headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "body",
    [
        *("{", "[]", '"x"', "7", "null", "[" * 5000, b"\xff\xfe", "\ufeff{}", "{}".encode("utf-16")),
        *('{"accountId": NaN}', '{"accountId": 1e999}', '{"accountId": %s}' % ("9" * 5_000)),
        '{"accountId": %s}' % ("[" * 40 + "]" * 40),
    ],
)
def test_what_is_no_json_object_is_malformed(crm: ApiClient, body: str | bytes) -> None:
    problem(crm.post(BACKFILL, data=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize(
    "body", ['{"accountId": "\\ud800"}', '{"accountId": "1", "accountId": []}', '{"accountId": %s}' % ("9" * 300)]
)
def test_a_json_object_with_a_value_that_cannot_be_stored_is_refused(crm: ApiClient, body: str) -> None:
    assert 400 <= crm.post(BACKFILL, data=body, headers={"Content-Type": "application/json"}).status_code < 500


def test_a_body_over_64_kib_is_too_large(crm: ApiClient) -> None:
    problem(crm.post(BACKFILL, json={"accountId": "x" * 70_000}), 413)


def test_what_was_sent_is_never_repeated(crm: ApiClient) -> None:
    answer = crm.post(BACKFILL, json={"accountId": ["a-canary"], "batchSize": "another-canary"})
    problem(answer, 422)
    assert "canary" not in answer.text


def test_reads_are_limited_by_the_minute(crm: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "READS", 3)
    last = [crm.get(ACCOUNTS) for _ in range(3)][-1]
    assert (last.headers["RateLimit-Limit"], last.headers["RateLimit-Remaining"]) == ("3", "0")
    refused = crm.get(ACCOUNTS)
    problem(refused, 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).status_code == 202


def test_starts_are_limited_to_ten_a_minute(crm: ApiClient) -> None:
    statuses = [crm.post(BACKFILL, json={"accountId": "x"}).status_code for _ in range(11)]
    assert statuses == [404] * 10 + [429]


def test_the_limit_bites_while_redis_is_away(crm: ApiClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(auth, "READS", 2)
    rate_limit.reset()
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        assert [crm.get(ACCOUNTS).status_code for _ in range(3)] == [200, 200, 429]


def test_guessing_is_limited_by_address(client: FlaskClient) -> None:
    statuses = [client.get(ACCOUNTS).status_code for _ in range(auth.FAILURES + 1)]
    assert set(statuses[:-1]) == {401}
    assert statuses[-1] == 429


def test_addresses_that_are_not_there_are_problems_too(crm: ApiClient) -> None:
    for address in ("/api/nothing", "/messaging/nothing"):
        problem(crm.get(address), 404)
    problem(crm.call("DELETE", ACCOUNTS), 405)


def test_a_fault_of_ours_tells_nothing(crm: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.accounts import listing

    def broken(_viewer: object) -> None:
        raise RuntimeError("marker SELECT secret")

    monkeypatch.setattr(listing, "accounts", broken)
    answer = crm.get(ACCOUNTS)
    problem(answer, 500)
    assert "marker" not in answer.text


def test_a_token_for_jobs_alone_reads_nothing(app: Flask) -> None:
    an_account()
    starter = an_api_client(app, "jobs")
    for address in (ACCOUNTS, "/messaging/conversations", "/api/jobs", "/api/identities/export"):
        assert "'read' scope" in problem(starter.get(address), 403)["detail"]
    assert starter.post(BACKFILL, json={"accountId": MAISON_LUNE}).status_code == 202
    assert "'jobs' scope" in problem(an_api_client(app, "read", name="reader").post(BACKFILL, json={}), 403)["detail"]


def test_a_chunked_body_over_64_kib_is_too_large(crm: ApiClient) -> None:
    body = b'{"accountId": "' + b"x" * 70_000 + b'"}'
    chunked = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    options = {"input_stream": io.BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}
    problem(crm.post(BACKFILL, headers=chunked, **options), 413)
    options["input_stream"] = io.BytesIO(b'{"accountId": "17841499999999999"}')
    problem(crm.post(BACKFILL, headers=chunked, **options), 404)
