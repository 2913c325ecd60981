"""Each route answers each kind of visitor as the permission matrix says, and refusals reveal nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import clock, queue, settings
from app.api import auth
from app.db import transaction
from app.db.engine import db
from app.factory import create_app
from app.models.erasure import OwnerRequest
from app.models.gap import Gap, GapState
from app.models.identity import StoredAvatar
from app.models.run import Run, RunKind, RunState
from app.users import api_tokens, users
from app.viewer import OPERATOR, Role
from app.web import headers
from tests.architecture import matrix
from tests.architecture.matrix import API, CLIENTS, CREDENTIALS, PAGES, RUN, VISITORS, Row
from tests.factories import ATELIER_NORD, LEA, an_account, people_wrote
from tests.support import databases
from tests.support.web_client import WebClient
from tests.support.webhooks import receive_webhook
from tests.web.browsing import HTMX, csrf, sign_in

PASSWORD = CREDENTIALS["password"]
SCOPES = {"read": ["read"], "jobs": ["jobs"], "read and jobs": ["read", "jobs"], "limited": ["read", "jobs"]}
SCOPES |= {"privacy": ["privacy"], "admin": ["admin"]}
# Parts that differ between two answers of one session: the request ID and the CSRF token.
_VARYING = re.compile(rb"[0-9a-f]{12}|[\w-]{20,}\.[\w-]{6}\.[\w-]{27}")


@pytest.fixture
def nametag(sqlite_database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    """An app with every object that the matrix names; all of them belong to maison.lune."""
    with (
        settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        account, other = an_account(), an_account(ATELIER_NORD)
        people_wrote(LEA)
        receive_webhook(b"[]")  # a dead letter
        with transaction.write() as tx:
            picture = {"content": b"RIFF", "version": "1", "tried_at": clock.now()}
            tx.execute(tx.insert(StoredAvatar).values(identity_id=1, **picture))
            gone = {"digest": b"0" * 16, "requested_at": clock.now(), "done_at": clock.now()}
            tx.execute(tx.insert(OwnerRequest).values(code="a-code", **gone))
            run = {"id": RUN, "account_id": account.id, "kind": RunKind.BACKFILL, "state": RunState.QUEUED}
            more = {"batch_size": 10, "started_by": "Command line", "created_at": clock.now(), "total": 0}
            tx.session.add(Run(**run, **more))
            tx.session.add(Gap(account_id=account.id, began_at=clock.now(), causes=[], state=GapState.CLOSED))
        queue.enqueue(queue.BACKFILL_SLICE, RUN, job_id=RUN)
        users.add_user(OPERATOR, CREDENTIALS["email"], role=Role.AGENT, password=PASSWORD)
        for visitor in VISITORS[1:]:
            limited = [other.id] if visitor.startswith("limited") else None
            role = Role(visitor.removeprefix("limited "))
            users.add_user(OPERATOR, email_of(visitor), role=role, password=PASSWORD, account_ids=limited)
        yield app


def email_of(visitor: str) -> str:
    return f"{visitor.replace(' ', '.')}@example.com"


def signed_in_client(app: Flask, visitor: str) -> FlaskClient:
    client = app.test_client()
    if visitor != "anonymous":
        assert sign_in(client, email_of(visitor), PASSWORD).status_code == 303
    return client


def token_of(client: FlaskClient) -> str:
    """Return the CSRF token of this visitor's current session."""
    page = client.get("/settings")
    return csrf(page if page.status_code == 200 else client.get("/login"))


def send(client: FlaskClient, route: str, row: Row, given: dict[str, str]) -> TestResponse:
    method, rule = route.split(" ", 1)
    return client.open(row.url or rule, method=method, data=row.form or None, headers=given)


def answer_of(answer: TestResponse) -> str:
    answer.close()
    for name in (*headers.FIXED, "Content-Security-Policy", "X-Request-Id", "Cache-Control"):
        assert len(answer.headers.getlist(name)) == 1, name
    if answer.status_code == 303 and answer.location.startswith("/login"):
        return "login"
    refused = answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500
    return str(answer.status_code) if refused else "in"


def comparable(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return an answer without the parts that differ between two equal requests."""
    varying = ("X-Request-Id", "Set-Cookie", "RateLimit-Remaining", "RateLimit-Reset", "Content-Length")
    kept = [(name, value) for name, value in answer.headers if name not in varying]
    return answer.status_code, _VARYING.sub(b"", answer.data), kept


def state() -> list[object]:
    """Return all rows except those of the audit log."""
    tables = [table for table in db.metadata.sorted_tables if table.name != "audit_log"]
    found = [[tuple(row) for row in db.session.execute(select(table))] for table in tables]
    db.session.rollback()
    return [sorted(map(repr, rows)) for rows in found]


def test_every_route_is_in_the_matrix(nametag: Flask) -> None:
    rules = nametag.url_map.iter_rules()
    known = {f"{method} {rule.rule}" for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    rows = PAGES.keys() | API.keys()
    assert known - rows == set(), "add each new route to tests/architecture/matrix.py"
    assert rows - known == set(), "remove routes that no longer exist from tests/architecture/matrix.py"


@pytest.mark.parametrize("visitor", VISITORS)
def test_every_page_answers_each_visitor_as_the_matrix_says(nametag: Flask, visitor: str) -> None:
    client, deviations = signed_in_client(nametag, visitor), {}
    token = {"X-CSRFToken": token_of(client)}
    for route, row in PAGES.items():
        expected = row.expected.split()[VISITORS.index(visitor)]
        if expected == "404" and row.unknown:
            for given in (token, token | HTMX):
                other_account, nothing = (send(client, route, each, given) for each in (row, Row("", row.unknown)))
                assert comparable(other_account) == comparable(nothing), route
        if route == "POST /login":
            token = {"X-CSRFToken": token_of(client)}  # signing out changed the session
        answer = answer_of(send(client, route, row, token))
        if answer != expected:
            deviations[route] = f"{answer} instead of {expected}"
    assert deviations == {}


@pytest.mark.parametrize("api_client", CLIENTS)
def test_every_api_route_answers_each_client_as_the_matrix_says(
    nametag: Flask, api_client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "STARTS", 1_000)
    client, bearer, deviations = nametag.test_client(), {}, {}
    if api_client == "a session":
        client = signed_in_client(nametag, "admin")
    if api_client in SCOPES:
        limited = [2] if api_client == "limited" else None
        bearer = {"Authorization": f"Bearer {api_tokens.create(OPERATOR, api_client, SCOPES[api_client], limited)}"}
    for route, row in API.items():
        method, rule = route.split(" ", 1)
        expected = row.expected.split()[CLIENTS.index(api_client)]
        answer = client.open(row.url or rule, method=method, headers=bearer, json=row.body)
        if expected == "404" and row.unknown:
            nothing = client.open(row.unknown, method=method, headers=bearer)
            assert comparable(answer) == comparable(nothing), route
        if answer_of(answer) != expected:
            deviations[route] = f"{answer_of(answer)} instead of {expected}"
    assert deviations == {}


def test_an_api_token_opens_no_page(nametag: Flask) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read", "jobs"])
    client = nametag.test_client()
    for route, row in PAGES.items():
        if row.expected.startswith("login") and route.startswith("GET "):
            answer = client.get(row.url or route[4:], headers={"Authorization": f"Bearer {secret}"})
            assert answer_of(answer) == "login", route


def test_no_change_is_made_by_a_get_or_on_behalf_of_another_site(nametag: Flask) -> None:
    client, another = signed_in_client(nametag, "admin"), signed_in_client(nametag, "ops")
    token, other_account = token_of(client), token_of(another)
    before, changing = state(), 0
    for route, row in PAGES.items():
        method, rule = route.split(" ", 1)
        if method != "POST" or rule.startswith("/webhooks/"):
            continue
        url = row.url or rule
        if f"GET {rule}" not in PAGES or "requeue" in rule:
            assert client.get(url).status_code == 405, route
        other_site = {"X-CSRFToken": token, "Sec-Fetch-Site": "cross-site"}
        other_origin = {"X-CSRFToken": token, "Origin": "https://evil.example"}
        for headers_, refused in (
            ({}, 400),
            ({"X-CSRFToken": other_account}, 400),
            (other_site, 403),
            (other_origin, 403),
        ):
            assert client.post(url, data=row.form, headers=headers_).status_code == refused, (route, headers_)
        changing += 1
    assert changing > 20
    assert state() == before
    assert client.get("/inbox").status_code == 200


def test_no_api_route_that_starts_a_job_accepts_get(nametag: Flask) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read", "jobs"])
    for route, row in API.items():
        if route.startswith("POST ") and route.replace("POST", "GET") not in API:
            answer = nametag.test_client().get(row.url, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status_code in (404, 405), route  # 404 where the name could be an ID


def test_the_matrix_names_the_account_and_contact_of_the_factories() -> None:
    from tests import factories

    assert (matrix.ACCOUNT, matrix.CONTACT) == (factories.MAISON_LUNE, factories.LEA)
