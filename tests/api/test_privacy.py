"""Data of one contact in the API: its own scope, export, deletion and receipt."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest
from flask import Flask

from app.models.account import Account
from tests.api.clients import ApiClient, an_api_client, problem
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    return account


@pytest.fixture
def client(app: Flask, account: Account) -> ApiClient:
    return an_api_client(app, "privacy")


def test_a_contact_is_counted_exported_and_deleted(client: ApiClient) -> None:
    stored = client.get("/api/identities/1/data").get_json()
    assert (stored["participantPlatformId"], stored["accountId"]) == (LEA, MAISON_LUNE)
    assert {"key": "messages", "count": 1} in stored["counts"]
    answer = client.get("/api/identities/1/export")
    assert answer.content_type == "application/zip"
    with ZipFile(BytesIO(answer.data)) as file:
        assert json.loads(file.read("contact.json"))["identity"]["participantPlatformId"] == LEA
    receipt = client.call("DELETE", "/api/identities/1").get_json()
    assert (receipt["deletedBy"], receipt["accountId"]) == ("crm", MAISON_LUNE)
    assert "1 message" in receipt["deleted"]
    assert client.get(f"/api/receipts/{receipt['id']}").get_json() == receipt
    problem(client.call("DELETE", "/api/identities/1"), 404)
    assert client.get("/api/identities/2/data").status_code == 200


def test_data_of_a_contact_needs_the_privacy_scope(app: Flask, account: Account) -> None:
    others = an_api_client(app, name="others")
    for method, url in (
        ("GET", "/api/identities/1/data"),
        ("GET", "/api/identities/1/export"),
        ("DELETE", "/api/identities/1"),
        ("GET", "/api/receipts/1"),
    ):
        assert "'privacy' scope" in problem(others.call(method, url), 403)["detail"]


def test_a_limited_token_finds_no_contact_of_another_account(app: Flask, account: Account) -> None:
    limited = an_api_client(app, "privacy", accounts=[an_account(ATELIER_NORD).id], name="limited")
    for method, url in (("GET", "/api/identities/1/export"), ("DELETE", "/api/identities/1")):
        problem(limited.call(method, url), 404)
