"""Helpers for tests of pages: signed-in clients, clicks with CSRF tokens, and htmx headers."""

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.users import users
from app.viewer import OPERATOR, Role

PASSWORD = "a moonlit correct horse"
HTMX = {"HX-Request": "true"}
_CSRF = re.compile(r'"X-CSRFToken": "([^"]+)"|name="csrf_token" value="([^"]+)"')


def signed_in(app: Flask, role: Role = Role.OPS, *, email: str = "") -> FlaskClient:
    """Return the test client of a signed-in user with this role."""
    address = email or f"{role}@example.com"
    users.add_user(OPERATOR, address, role=role, password=PASSWORD)
    client = app.test_client()
    answer = sign_in(client, address)
    assert answer.status_code == 303, answer.text
    return client


def sign_in(
    client: FlaskClient, email: str, password: str = PASSWORD, *, query: str = "", **options: Any
) -> TestResponse:
    """Submit the sign-in form."""
    token = csrf(client.get("/login"))
    form = {"email": email, "password": password, "csrf_token": token}
    return client.post(f"/login{query}", data=form, **options)


def csrf(page: TestResponse) -> str:
    """Return the CSRF token that a page carries."""
    found = _CSRF.search(page.text)
    assert found, page.text
    return found[1] or found[2]


def click(client: FlaskClient, address: str, *, htmx: bool = True, **fields: str) -> TestResponse:
    """Press a button: POST with the CSRF token of an open page."""
    token = csrf(client.get("/inbox"))
    if htmx:
        return client.post(address, data=fields, headers=HTMX | {"X-CSRFToken": token})
    return client.post(address, data=fields | {"csrf_token": token})


def part(client: FlaskClient, address: str, **headers: str) -> TestResponse:
    """Request a part as htmx does."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(address, headers=HTMX | named)


def poll_headers(part_of_page: str, element_id: str) -> dict[str, str]:
    """Return the headers that the element with this ID sends when it polls, as its markup says."""
    found = re.search(rf'id="{element_id}"[^>]*?If-None-Match": "(.*?)"}}\'', part_of_page)
    assert found, part_of_page
    return HTMX | {"If-None-Match": found[1].replace('\\"', '"'), "HX-Trigger": element_id}


CHANGING = re.compile(r"""If-None-Match\W+[^}]*}|[?]new=\d+|name="csrf_token" value="[^"]*\"""")


def normalized(words: str) -> str:
    return re.sub(r"\s+", " ", CHANGING.sub("", words)).strip()
