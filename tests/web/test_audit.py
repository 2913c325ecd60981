"""The Audit log page."""

from flask import Flask
from sqlalchemy import delete

from app import audit
from app.audit import Action
from app.db import transaction
from app.models.account import Account
from app.models.run import RunKind
from app.runs import lifecycle
from app.users import users
from app.viewer import OPERATOR, Role
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.web.browsing import sign_in, signed_in


def test_admins_read_who_did_what_under_their_names_of_today(app: Flask) -> None:
    admin = signed_in(app, Role.ADMIN)
    page = admin.get("/audit").text
    assert "admin@example.com" in page
    assert "Signed in" in page
    assert "127.0.0.1" in page
    assert 'href="/audit" aria-current="page"' in page


def test_an_entry_shows_its_seconds_and_the_name_of_its_account(app: Flask, frozen_clock: FrozenClock) -> None:
    frozen_clock.at = frozen_clock.at.replace(year=2026, month=11, day=20, hour=9, minute=29, second=5)
    admin = signed_in(app, Role.ADMIN)
    account, gone = an_account(), an_account(ATELIER_NORD)
    lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lifecycle.start(OPERATOR, gone.id, kind=RunKind.BACKFILL)
    with transaction.write() as tx:
        tx.execute(delete(Account).where(Account.id == gone.id))
    page = admin.get("/audit").text
    assert ">20 Nov 2026, 09:29:05<" in page
    assert f'<bdi title="{MAISON_LUNE}">maison.lune</bdi>' in page
    assert f'<bdi title="{ATELIER_NORD}">{ATELIER_NORD}</bdi>' in page  # no longer connected


def test_older_entries_are_a_link_away_with_the_same_filter(app: Flask) -> None:
    with transaction.write() as tx:
        for number in range(audit.PAGE + 1):
            audit.note(tx, OPERATOR, Action.JOB_STARTED, f"job {number:03d}")
    admin = signed_in(app, Role.ADMIN)
    page = admin.get("/audit?actor=command+line&action=job_started").text
    assert "job 000" not in page
    assert "/audit?before=2&amp;actor=command+line&amp;action=job_started" in page
    older = admin.get("/audit?before=2&actor=command%20line").text
    assert "job 000" in older
    assert "job 001" not in older


def test_an_unknown_action_is_refused_and_a_strange_cursor_is_none(app: Flask) -> None:
    admin = signed_in(app, Role.ADMIN)
    assert admin.get("/audit?action=anything").status_code == 422
    for before in ("x", "-1", "٣", "9" * 5000):
        assert admin.get("/audit", query_string={"before": before}).status_code == 200


def test_refused_attempts_are_shown_with_user_route_and_ip_address(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    agent = signed_in(app, Role.AGENT)
    assert agent.get("/audit").status_code == 403
    users.change_access(OPERATOR, "agent@example.com", role=Role.AGENT, account_ids=[])
    assert sign_in(agent, "agent@example.com").status_code == 303
    assert agent.get("/inbox/1").status_code == 404
    assert agent.get("/nothing/here").status_code == 404
    assert agent.get("/static/nothing").status_code == 404
    cross_site = agent.post("/jobs/backfill", headers={"Sec-Fetch-Site": "cross-site"})
    assert cross_site.status_code == 403
    assert sign_in(app.test_client(), "agent@example.com", "not the password").status_code == 401
    entries, _ = audit.page(OPERATOR, audit.AuditFilter())
    found = [(each.actor, each.action.value, each.subject, each.route, each.address) for each in reversed(entries)]
    assert [each for each in found if each[3]] == [
        ("user 1", "access_refused", None, "GET /audit", "127.0.0.1"),
        ("user 1", "data_not_visible", None, "GET /inbox/<conversation_id>", "127.0.0.1"),
        ("user 1", "access_refused", None, "POST /jobs/<kind>", "127.0.0.1"),
        ("stranger", "sign_in_failed", "user 1", "POST /login", "127.0.0.1"),
    ]
    page = signed_in(app, Role.ADMIN).get("/audit?action=access_refused").text
    assert "<code>GET /audit</code>" in page
    assert "agent@example.com" in page
    assert account.id


def test_a_change_of_access_shows_what_it_was_and_what_it_is(app: Flask) -> None:
    account = an_account()
    signed_in(app, Role.AGENT)
    users.change_access(OPERATOR, "agent@example.com", role=Role.OPS, account_ids=[account.id])
    users.change_access(OPERATOR, "agent@example.com", role=Role.OPS, account_ids=[account.id])
    entries, _ = audit.page(OPERATOR, audit.parse_filter(action="user_changed"))
    change = f"agent, all accounts → ops, {MAISON_LUNE}"
    assert [each.detail for each in entries] == [None, change]
    assert change in signed_in(app, Role.ADMIN).get("/audit").text


def test_others_do_not_see_it_and_have_no_link_to_it(app: Flask) -> None:
    ops = signed_in(app, Role.OPS)
    assert ops.get("/audit").status_code == 403
    assert 'href="/audit"' not in ops.get("/inbox").text
