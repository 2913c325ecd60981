"""Helpers for tests of the API: a client with a token."""

from collections.abc import Sequence
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.users import api_tokens
from app.viewer import OPERATOR


class ApiClient:
    """An API client with a token."""

    def __init__(self, app: Flask, secret: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.secret = secret

    def get(self, address: str, **options: Any) -> TestResponse:
        """Send a GET request."""
        return self.call("GET", address, **options)

    def post(self, address: str, **options: Any) -> TestResponse:
        """Send a POST request."""
        return self.call("POST", address, **options)

    def call(self, method: str, address: str, *, headers: dict[str, str] | None = None, **options: Any) -> TestResponse:
        """Send a request with the token."""
        bearer = {"Authorization": f"Bearer {self.secret}"}
        return self.client.open(address, method=method, headers=bearer | (headers or {}), **options)


def an_api_client(app: Flask, *scopes: str, accounts: Sequence[int] | None = None, name: str = "crm") -> ApiClient:
    """Return an API client whose token has these scopes, by default read and jobs."""
    return ApiClient(app, api_tokens.create(OPERATOR, name, scopes or ("read", "jobs"), accounts))


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """Assert that a response is a problem document with this status. Return the document."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.get_json()
    assert (document["status"], document["type"]) == (status, "about:blank")
    assert document["detail"].endswith((".", "…"))
    return document
