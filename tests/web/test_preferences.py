"""The Settings page."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.browsing import PASSWORD, click, sign_in, signed_in

NEW = "another moonlit horse"


@pytest.fixture
def agent(app: Flask) -> FlaskClient:
    return signed_in(app)


def test_times_are_shown_in_the_chosen_zone_until_it_is_taken_back(agent: FlaskClient) -> None:
    assert click(agent, "/settings/zone", htmx=False, zone="Asia/Tokyo").status_code == 303
    assert "<option selected>Asia/Tokyo" in agent.get("/settings").text
    click(agent, "/settings/zone", htmx=False, zone="")
    assert "<option selected>" not in agent.get("/settings").text
    assert click(agent, "/settings/zone", zone="Moon/Crater").status_code == 422


def test_a_changed_password_ends_every_session(app: Flask, agent: FlaskClient) -> None:
    elsewhere = app.test_client()
    sign_in(elsewhere, "ops@example.com")
    answer = click(agent, "/settings/password", htmx=False, present=PASSWORD, password=NEW)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert elsewhere.get("/inbox").status_code == 303
    assert sign_in(app.test_client(), "ops@example.com").status_code == 401
    assert sign_in(app.test_client(), "ops@example.com", NEW).status_code == 303


@pytest.mark.parametrize(("present", "wanted"), [("wrong", NEW), (PASSWORD, "short"), ("", "")])
def test_a_password_that_cannot_be_changed_stays(agent: FlaskClient, present: str, wanted: str) -> None:
    answer = click(agent, "/settings/password", htmx=False, present=present, password=wanted)
    assert answer.status_code == 422
    assert 'id="password-error" role="alert"' in answer.text
    assert agent.get("/inbox").status_code == 200
