"""The palette: contacts, accounts, actions and jobs that the user may see."""

import pytest
from flask import Flask

from app.users import users
from app.viewer import OPERATOR, Role
from tests.factories import ATELIER_NORD, LEA, an_account, people_wrote
from tests.web.browsing import PASSWORD, part, sign_in, signed_in


def test_the_palette_finds_only_what_the_user_may_see(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    people_wrote(LEA)
    everything = part(signed_in(app, Role.ADMIN), f"/palette?q={LEA}").text
    assert 'href="/inbox/1?account=' in everything
    users.add_user(OPERATOR, "limited@example.com", role=Role.AGENT, password=PASSWORD, account_ids=[other.id])
    limited = app.test_client()
    sign_in(limited, "limited@example.com")
    found = part(limited, f"/palette?q={LEA}").text
    assert "/inbox/" not in found
    assert "/identities/" not in found
    shown = part(limited, "/palette").text
    assert "atelier.nord" in shown
    assert "maison.lune" not in shown
    assert "Go to Audit log" not in shown
    assert "Go to Dead letters" not in shown


@pytest.mark.parametrize("q", ["x" * 300, "%00", "<b>", "a%20b"])
def test_a_search_of_the_palette_is_never_a_server_error(app: Flask, q: str) -> None:
    an_account()
    answer = part(signed_in(app, Role.ADMIN), f"/palette?q={q}")
    assert answer.status_code in (200, 400, 422)
    assert "<b>" not in answer.text


def test_the_palette_alone_leads_to_the_inbox(app: Flask) -> None:
    an_account()
    answer = signed_in(app).get("/palette?q=lea")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")
