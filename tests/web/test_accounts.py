"""The Accounts page."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update

from app import clock, queue, settings
from app.db import transaction
from app.db.engine import db
from app.models.account import Account
from app.sandbox.accounts import APP_ID, SYSTEM_USER_TOKEN
from app.viewer import Role
from tests.accounts.consents import chosen
from tests.factories import MAISON_LUNE, a_sandbox_account, an_account
from tests.sandbox.calls import INSTAGRAM_TOKEN
from tests.support.processes import Sandbox
from tests.web.browsing import click, signed_in


@pytest.fixture
def database(sqlite_database: str) -> str:
    """One database is enough for a page: the packages below it are tested on both."""
    return sqlite_database


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    an_account()
    return signed_in(app)


@pytest.fixture
def admin(meta: Sandbox, app: Flask) -> Iterator[FlaskClient]:
    with settings.using(meta_app_id=APP_ID, meta_instagram_app_id=APP_ID):
        yield signed_in(app, Role.ADMIN)


def accounts() -> list[Account]:
    db.session.rollback()
    return list(db.session.scalars(select(Account).order_by(Account.id)))


def led_back(admin: FlaskClient, login: str = "instagram", choice: str = "allow") -> str:
    """Authorize at Meta. Return the URL to which Meta redirects the browser."""
    away = admin.get(f"/accounts/connect/{login}")
    assert away.status_code == 303
    return f"/accounts/connected/{login}?{urlencode(chosen(away.headers['Location'], choice))}"


def test_a_healthy_account_is_shown_as_such_and_never_its_token(ops: FlaskClient) -> None:
    page = ops.get("/accounts").text
    assert "Healthy" in page
    assert MAISON_LUNE in page
    assert "sandbox-token" not in page


def test_what_is_missing_is_said(ops: FlaskClient) -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).values(missing_subscriptions=["message_edit", "standby"]))
    page = ops.get("/accounts").text
    assert "Needs attention" in page
    assert "Missing: message_edit, standby" in page


def test_the_result_of_the_last_sync_is_shown_with_what_it_skipped_and_why_it_ended(ops: FlaskClient) -> None:
    assert "None yet" in ops.get("/accounts").text
    result = {"conversations": 5, "messages": 12, "skipped": 3, "skipped_ids": ["<t_3>", None], "reason": None}
    with transaction.write() as tx:
        tx.execute(update(Account).values(last_synced_at=clock.now(), last_sync_result=result))
    page = ops.get("/accounts").text
    assert "5 conversations, 12 new messages · 3 skipped: &lt;t_3&gt;, without ID, …" in page
    assert "Incomplete" not in page
    with transaction.write() as tx:
        tx.execute(update(Account).values(last_sync_result=result | {"reason": "Instagram has a temporary problem"}))
    assert "Incomplete: Instagram has a temporary problem" in ops.get("/accounts").text


def test_a_sync_starts_a_job_and_shows_it(ops: FlaskClient, redis: Redis) -> None:
    started = click(ops, f"/accounts/{MAISON_LUNE}/sync")
    page = ops.get(started.headers["HX-Redirect"]).text
    assert "Conversation sync queued." in page
    assert "Conversations appear here once they are read." in page
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.SYNC_SLICE].queue}") == 1
    assert click(ops, f"/accounts/{MAISON_LUNE}/sync").status_code == 409
    assert click(ops, "/accounts/1/sync").status_code == 404


def test_agents_look_only(app: Flask) -> None:
    an_account()
    agent = signed_in(app, Role.AGENT)
    assert "Sync conversations" not in agent.get("/accounts").text
    assert click(agent, f"/accounts/{MAISON_LUNE}/sync").status_code == 403


def test_without_an_account_the_page_says_what_to_do(app: Flask) -> None:
    page = signed_in(app, Role.ADMIN).get("/accounts").text
    assert "No account connected" in page
    assert 'id="connect"' in page
    assert "Connect with Instagram" not in page  # there is no app
    assert "Ask an admin to connect one" in signed_in(app, Role.OPS).get("/accounts").text


def test_a_token_is_pasted_and_never_shown_again(admin: FlaskClient) -> None:
    wrong = click(admin, "/accounts", htmx=False, login="instagram", token="IGAAwrong", ig_account_id="12ab")
    assert wrong.status_code == 422
    assert "The professional account ID must be digits only" in wrong.text
    assert 'value="12ab"' in wrong.text
    refused = click(admin, "/accounts", htmx=False, login="instagram", token="IGAAwrong")
    assert refused.status_code == 422
    assert "IGAAwrong" not in wrong.text + refused.text
    assert accounts() == []
    connected = click(admin, "/accounts", htmx=False, login="instagram", token=INSTAGRAM_TOKEN)
    assert (connected.status_code, connected.headers["Location"]) == (303, "/accounts")
    assert [account.ig_account_id for account in accounts()] == [MAISON_LUNE]
    page = admin.get("/accounts").text
    assert "Connected maison.lune." in page
    assert INSTAGRAM_TOKEN not in page
    assert "Connected maison.lune." not in admin.get("/accounts").text


@pytest.mark.parametrize("login", ["instagram", "facebook"])
def test_a_click_leads_to_meta_and_back_to_a_connected_account(admin: FlaskClient, login: str) -> None:
    assert f"/accounts/connect/{login}" in admin.get("/accounts").text
    assert accounts() == []
    back = led_back(admin, login)
    assert accounts() == []
    assert admin.get(back).headers["Location"] == "/accounts#accounts"
    page = admin.get("/accounts").text
    assert "Connected " in page
    assert "Healthy" in page
    assert ("6 of 6" if login == "facebook" else "2 of 2") in page


def test_an_account_of_unified_login_is_connected_with_a_pasted_token(admin: FlaskClient, meta: Sandbox) -> None:
    meta.request("PATCH", "settings", pages="none")
    assert "Unified Login (system user token)" in admin.get("/accounts").text
    assert admin.get("/accounts/connect/unified").status_code == 404
    assert click(admin, "/accounts", htmx=False, login="unified", token=SYSTEM_USER_TOKEN).status_code == 303
    page = admin.get("/accounts").text
    assert "Connected atelier.nord." in page
    assert "Unified Login</p>" in page
    assert "Healthy" in page


def test_what_did_not_begin_in_this_browser_connects_nothing(admin: FlaskClient, app: Flask) -> None:
    back = led_back(admin)
    other = signed_in(app, Role.ADMIN, email="eve@example.com")
    for browser, address in ((other, back), (admin, back.replace("state=", "state=x"))):
        assert "has expired or was already used" in browser.get(address, follow_redirects=True).text
    assert "has expired or was already used" in admin.get(back, follow_redirects=True).text  # its attempt is gone
    back = led_back(admin)
    assert admin.get(back).status_code == 303
    assert "has expired or was already used" in admin.get(back, follow_redirects=True).text
    assert len(accounts()) == 1


def test_a_declined_authorization_is_reported_once_at_a_clean_url(admin: FlaskClient) -> None:
    answer = admin.get(led_back(admin, choice="deny"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/accounts#accounts")
    assert "declined at Meta" in admin.get("/accounts").text
    assert "declined at Meta" not in admin.get("/accounts").text
    assert accounts() == []


def test_only_admins_connect_and_remove(ops: FlaskClient) -> None:
    page = ops.get("/accounts").text
    assert 'id="connect"' not in page
    assert "Remove" not in page
    assert ops.get("/accounts/connect/instagram").status_code == 403
    assert ops.get("/accounts/connected/instagram?code=c&state=s").status_code == 403
    assert click(ops, "/accounts", login="instagram", token="IGAA").status_code == 403
    assert click(ops, f"/accounts/{MAISON_LUNE}/remove").status_code == 403


def test_an_account_is_checked_and_removed_with_a_click(admin: FlaskClient, meta: Sandbox) -> None:
    a_sandbox_account()
    assert click(admin, f"/accounts/{MAISON_LUNE}/check").headers["HX-Redirect"] == "/accounts"
    assert "connection OK. The access token is valid and webhooks are active." in admin.get("/accounts").text
    meta.post("faults", mode="190")
    click(admin, f"/accounts/{MAISON_LUNE}/check")
    page = admin.get("/accounts").text
    assert "no longer valid" in page
    assert 'href="/accounts/connect/instagram">' in page
    click(admin, f"/accounts/{MAISON_LUNE}/remove")
    assert "maison.lune" not in admin.get("/accounts").text
    assert [account.token for account in accounts()] == [None]
    assert click(admin, f"/accounts/{MAISON_LUNE}/remove").status_code == 404


def test_little_life_and_a_refused_permission_are_said(ops: FlaskClient) -> None:
    with transaction.write() as tx:
        soon = clock.now() + timedelta(days=3, hours=1)
        tx.execute(update(Account).values(token_expires_at=soon, permissions=["instagram_business_basic"]))
    page = ops.get("/accounts").text
    assert "Reconnect</span>" in page
    assert "Expires in 3 days. Reconnect the account." in page
    assert "1 of 2 · missing: instagram_business_manage_messages" in page


def test_an_account_whose_key_is_lost_says_so_and_the_rest_goes_on(ops: FlaskClient) -> None:
    with settings.using(token_encryption_keys=("b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItbzA=",)):
        assert "Cannot decrypt it with TOKEN_ENCRYPTION_KEYS" in ops.get("/accounts").text
        assert ops.get("/inbox").status_code == 200
