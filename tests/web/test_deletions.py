"""Meta's callbacks over HTTP, the public status page of a deletion, and deletions by an admin."""

from io import BytesIO
from zipfile import ZipFile

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.erasure import accounts
from app.models.account import Account
from app.viewer import Role
from tests.factories import LEA, MAISON_LUNE, MAISON_LUNE_APP_SCOPED, an_account, people_wrote
from tests.support.signed_requests import a_signed_request
from tests.web.browsing import click, part, signed_in


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def test_the_status_page_of_a_deletion_names_no_account(client: FlaskClient, account: Account) -> None:
    answer = client.post("/webhooks/instagram/data-deletion", data={"signed_request": a_signed_request()})
    assert answer.status_code == 200
    told = answer.get_json()
    assert told["url"].endswith(f"/deletion/{told['confirmation_code']}")
    waiting = client.get(f"/deletion/{told['confirmation_code']}")
    assert "is being deleted" in waiting.text
    for known in ("maison.lune", MAISON_LUNE, MAISON_LUNE_APP_SCOPED):
        assert known not in waiting.text
    again = client.post("/webhooks/instagram/data-deletion", data={"signed_request": a_signed_request()})
    assert (again.status_code, again.get_json()) == (200, told)
    accounts.delete_pending()
    assert "Your data was deleted" in client.get(f"/deletion/{told['confirmation_code']}").text


def test_the_page_of_an_unmatched_request_claims_no_deletion(app: Flask, client: FlaskClient, account: Account) -> None:
    asked = {"signed_request": a_signed_request("10200000000000009")}
    code = client.post("/webhooks/instagram/data-deletion", data=asked).get_json()["confirmation_code"]
    accounts.delete_pending()
    waiting = client.get(f"/deletion/{code}").text
    assert "nothing has been deleted yet" in waiting
    assert "Your data was deleted" not in waiting
    assert "10200000000000009" not in waiting
    admin = signed_in(app, Role.ADMIN)
    shown = admin.get("/accounts").text
    assert "Requests of account owners" in shown
    assert "10200000000000009" in shown
    assert "Requests of account owners" not in signed_in(app, Role.OPS).get("/accounts").text
    assert click(admin, f"/accounts/requests/{code}/close").headers["HX-Redirect"] == "/accounts"
    assert "nothing was deleted" in client.get(f"/deletion/{code}").text
    assert "Requests of account owners" not in admin.get("/accounts").text


def test_an_admin_assigns_a_request_on_the_accounts_page(app: Flask, client: FlaskClient, account: Account) -> None:
    asked = {"signed_request": a_signed_request("10200000000000009")}
    code = client.post("/webhooks/instagram/data-deletion", data=asked).get_json()["confirmation_code"]
    click(signed_in(app, Role.ADMIN), f"/accounts/requests/{code}/assign", ig_account_id=MAISON_LUNE)
    assert "is being deleted" in client.get(f"/deletion/{code}").text
    accounts.delete_pending()
    assert "Your data was deleted" in client.get(f"/deletion/{code}").text


def test_an_unmatched_deauthorization_disconnects_nothing_and_says_so(client: FlaskClient, account: Account) -> None:
    answer = client.post(
        "/webhooks/instagram/deauthorize", data={"signed_request": a_signed_request("10200000000000009")}
    )
    assert (answer.status_code, "No account was disconnected" in answer.text) == (200, True)


def test_a_deauthorization_is_accepted(client: FlaskClient, account: Account) -> None:
    answer = client.post("/webhooks/instagram/deauthorize", data={"signed_request": a_signed_request()})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["deauthorize", "data-deletion"])
@pytest.mark.parametrize("form", [{}, {"signed_request": "guessed"}, {"signed_request": "x" * 30_000}])
def test_a_request_without_a_signature_is_refused(client: FlaskClient, path: str, form: dict[str, str]) -> None:
    assert client.post(f"/webhooks/instagram/{path}", data=form).status_code in (403, 413)
    assert client.get(f"/webhooks/instagram/{path}").status_code == 405


def test_an_unknown_code_is_not_found(client: FlaskClient) -> None:
    assert client.get("/deletion/guessed").status_code == 404


def test_an_admin_deletes_a_contact_from_the_details(app: Flask, account: Account) -> None:
    people_wrote(LEA)
    assert "/inbox/1/forget" not in part(signed_in(app, Role.OPS), "/inbox/1").text
    admin = signed_in(app, Role.ADMIN)
    assert "/inbox/1/forget" in part(admin, "/inbox/1").text
    receipt = admin.get(click(admin, "/inbox/1/forget").headers["HX-Redirect"]).text
    assert "admin@example.com" in receipt
    assert "1 message" in receipt
    assert LEA not in receipt
    assert admin.get("/inbox/1").status_code == 404


def test_an_admin_exports_and_deletes_a_contact_from_its_data_page(app: Flask, account: Account) -> None:
    people_wrote(LEA)
    assert "/identities/1/data" not in signed_in(app, Role.OPS).get("/identities/1").text
    admin = signed_in(app, Role.ADMIN)
    assert "/identities/1/data" in admin.get("/identities/1").text
    page = admin.get("/identities/1/data").text
    assert "/identities/1/export" in page
    exported = admin.get("/identities/1/export")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="contact-1.zip"'
    assert ZipFile(BytesIO(exported.data)).namelist() == ["contact.json", "messages.html"]
    without_script = click(admin, "/identities/1/delete", htmx=False)
    assert without_script.status_code == 303
    assert "1 conversation" in admin.get(without_script.location).text
    assert admin.get("/identities/1/data").status_code == 404
    assert without_script.location in admin.get("/audit").text
