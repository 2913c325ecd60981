"""The OpenAPI document and its page; Schemathesis checks every response against the document."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app import settings
from app.api import auth
from tests.api.clients import an_api_client, problem
from tests.factories import CAMILLE, LEA, RUI, an_account, people_wrote
from tests.web.browsing import signed_in

DOCUMENT, EXPLORER = "/api/openapi.json", "/api/docs"


def test_the_document_names_every_call(client: FlaskClient) -> None:
    document = client.get(DOCUMENT).get_json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        *("/messaging/conversations", "/messaging/conversations/{id}", "/messaging/conversations/{id}/messages"),
        *("/api/workers/backfill-profiles", "/api/social/instagram/inbox/refresh-identities"),
        *("/api/social/instagram/messages/backfill", "/api/jobs", "/api/jobs/{id}", "/api/jobs/{id}/items"),
        *("/messaging/conversations/{id}/read", "/messaging/conversations/{id}/no-reply-needed"),
        *("/api/jobs/{id}/cancel", "/api/jobs/{id}/pause", "/api/jobs/{id}/resume", "/api/jobs/{id}/retry"),
        *("/api/workers/backfill-profiles/plan", "/api/identities", "/api/identities/{id}"),
        *("/api/schedules", *(f"/api/schedules/{{name}}/{each}" for each in ("run", "off", "on")), "/api/health"),
        *("/api/alerts", "/api/alerts/{id}/acknowledge", "/api/accounts/{id}/sync", "/api/accounts/{id}/gaps"),
        *("/api/accounts/{id}/alerts/mute", "/api/accounts/{id}/alerts/unmute"),
        *("/api/alert-receivers", "/api/alert-receivers/{id}", "/api/alert-receivers/{id}/test"),
        *("/api/alert-receivers/{id}/enable", "/api/alert-receivers/{id}/rotate-secret"),
        *("/api/identities/{id}/refresh", "/api/identities/export", "/api/accounts"),
        *("/api/identities/{id}/data", "/api/identities/{id}/export", "/api/receipts/{id}"),
        *("/api/identities/{id}/lookups", "/api/identities/refresh", "/api/accounts/{id}/check", "/api/insights"),
        *("/api/dead-letters", "/api/dead-letters/{id}", "/api/dead-letters/{id}/replay", "/api/dead-letters/replay"),
        "/api/avatars/{accountId}/{participantId}",
    }
    token = document["components"]["securitySchemes"]["token"]
    assert (token["type"], token["scheme"]) == ("http", "bearer")


def test_the_explorer_is_served_by_ourselves(client: FlaskClient) -> None:
    page = client.get(EXPLORER)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]


def test_in_production_strangers_see_no_map(app: Flask) -> None:
    with settings.using(nametag_env="production"):
        for address in (DOCUMENT, EXPLORER):
            problem(app.test_client().get(address), 401)
            assert an_api_client(app, name=address).get(address).status_code == 200


def test_people_who_are_signed_in_see_the_map(app: Flask) -> None:
    client = signed_in(app)
    with settings.using(nametag_env="production"):
        assert client.get(DOCUMENT).status_code == 200


@pytest.mark.timeout(600)
def test_no_call_breaks_the_rules_of_the_document(
    app: Flask, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    for name in ("READS", "STARTS", "FAILURES"):
        monkeypatch.setattr(auth, name, 100_000)
    an_account()
    people_wrote(LEA, CAMILLE, RUI)
    bearer = {"Authorization": f"Bearer {an_api_client(app).secret}"}
    operations: list[Any] = list(schemathesis.openapi.from_wsgi(DOCUMENT, app).get_all_operations())
    made: list[int] = []
    for found in operations:

        @hypothesis.settings(
            max_examples=-(-pytestconfig.getoption("calls") // len(operations)),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @hypothesis.given(case=found.ok().as_strategy())
        def tried(case: Any) -> None:
            made.append(1)
            if "cursor" in (case.query or {}):
                # The schema cannot know which IDs and cursors exist: unknown ones are refused.
                answer = case.call_and_validate(headers=bearer, excluded_checks=[positive_data_acceptance])
                assert answer.status_code in (400, 404, 422)
                return
            answer = case.call_and_validate(headers=bearer)
            if '"nextCursor"' in answer.text and (ours := answer.json()["nextCursor"]):
                case.query = (case.query or {}) | {"cursor": ours}
                assert case.call_and_validate(headers=bearer).status_code == 200

        tried()
    assert len(made) >= len(operations)
