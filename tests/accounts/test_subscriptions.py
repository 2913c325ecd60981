"""Webhook subscriptions that Meta refuses, fully or partly: what is stored, shown and retried."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app import doctor, settings
from app.accounts import connect, health, subscriptions
from app.accounts.health import Health
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.findings import Finding, Level
from app.models.account import Account, Login
from app.viewer import OPERATOR, Role
from tests.cli.commands import nametag
from tests.factories import ATELIER_NORD, ATELIER_NORD_PAGE, MAISON_LUNE, a_sandbox_account, an_account
from tests.instagram.graph import Graph, Request, always, answer
from tests.sandbox.calls import FACEBOOK_TOKEN
from tests.support.processes import Sandbox
from tests.web.browsing import click, signed_in

NO_MESSAGES = "(#200) To subscribe to the messages field, one of these permissions is needed: pages_messaging"


@pytest.fixture
def database(sqlite_database: str) -> str:
    """One kind is enough: what differs here is Meta's answers."""
    return sqlite_database


@pytest.fixture
def graph(app: Flask) -> Iterator[Graph]:
    with Graph(always(answer({"data": []}))) as graph, settings.using(graph_instagram_url=graph.url):
        yield graph


@pytest.fixture
def refusing(meta: Sandbox) -> Sandbox:
    """The sandbox as an app without pages_messaging meets Meta."""
    meta.post("faults", mode="200-subscribe", call="subscribe")
    return meta


def row() -> Account:
    db.session.rollback()
    return db.session.scalars(select(Account)).one()


def the_health() -> Health:
    db.session.rollback()
    [found] = health.list_health(OPERATOR)
    return found


def findings(ig_account_id: str) -> list[Finding]:
    db.session.rollback()
    return [each for each in doctor.examine(OPERATOR) if each.check == f"account {ig_account_id}"]


def calls(meta: Sandbox) -> list[str]:
    return [call["kind"] for call in meta.get("calls") if call["kind"] in ("subscribe", "subscribed_apps")]


def refused(message: str, *, code: int = 100) -> bytes:
    return answer({"error": {"message": message, "type": "OAuthException", "code": code}}, status=400)


def test_a_refused_subscription_is_stored_and_shown_everywhere_with_metas_words(refusing: Sandbox, app: Flask) -> None:
    added = nametag(
        *("account", "add", "--ig-account-id", ATELIER_NORD, "--login", "facebook", "--token-stdin"),
        answer=FACEBOOK_TOKEN,
    )
    assert added.exit_code == 0
    assert "Connected atelier.nord." in added.stdout
    assert "no messages arrive" in added.stdout
    assert row().subscription_problem == NO_MESSAGES
    assert not the_health().well

    checked = nametag("account", "check", ATELIER_NORD)
    assert checked.exit_code == 1
    assert NO_MESSAGES in checked.stdout
    assert "Add pages_messaging to the app at Meta" in checked.stdout
    as_json = nametag("account", "check", ATELIER_NORD, "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["works"]) == (1, False)

    listed = nametag("account", "list").stdout
    assert NO_MESSAGES in listed
    assert json.loads(nametag("account", "list", "--json").stdout)[0]["subscriptionProblem"] == NO_MESSAGES

    [finding] = findings(ATELIER_NORD)
    assert finding.level is Level.ERROR
    assert NO_MESSAGES in finding.message
    assert "pages_messaging" in (finding.fix or "")

    admin = signed_in(app, Role.ADMIN)
    click(admin, f"/accounts/{ATELIER_NORD}/check")
    page = admin.get("/accounts").text
    assert page.count("pages_messaging") >= 2  # the message on top and the card
    assert "webhooks are subscribed" not in page
    assert "Needs attention" in page


def test_connecting_with_a_pasted_token_says_on_the_page_that_messages_do_not_arrive(
    refusing: Sandbox, app: Flask
) -> None:
    admin = signed_in(app, Role.ADMIN)
    click(admin, "/accounts", htmx=False, login="facebook", token=FACEBOOK_TOKEN)
    page = admin.get("/accounts").text
    assert "Connected atelier.nord." in page
    assert "Meta refused the webhook subscription, so no messages arrive" in page


def test_a_subscription_that_meta_accepts_later_clears_what_was_stored(refusing: Sandbox) -> None:
    account = a_sandbox_account(ATELIER_NORD)
    assert subscriptions.check(account.id).problem == NO_MESSAGES
    refusing.request("DELETE", "faults")
    subscriptions.check_all()
    assert (row().subscription_problem, row().refused_subscriptions, row().missing_subscriptions) == (None, None, None)
    assert the_health().well


def test_one_refused_field_does_not_void_the_others(meta: Sandbox, app: Flask) -> None:
    meta.request("PATCH", "settings", refused_fields="message_edit")
    account = a_sandbox_account()
    checked = nametag("account", "check", MAISON_LUNE)
    assert checked.exit_code == 0
    assert "Meta refuses the webhook field message_edit" in checked.stdout
    assert gateway.missing_subscriptions(account.id) == ("message_edit",)
    assert list(row().refused_subscriptions or {}) == ["message_edit"]
    [finding] = findings(MAISON_LUNE)
    assert (finding.level, "message_edit" in finding.message) == (Level.WARNING, True)
    page = signed_in(app).get("/accounts").text
    assert "Meta refuses the webhook field message_edit" in page
    assert "message_edit" in nametag("account", "list").stdout


def test_the_daily_check_does_not_ask_again_for_a_refused_field(meta: Sandbox) -> None:
    meta.request("PATCH", "settings", refused_fields="message_edit,standby")
    account = a_sandbox_account()
    subscriptions.check(account.id)
    meta.request("DELETE", "calls")
    subscriptions.check_all()
    assert calls(meta) == ["subscribed_apps"]
    assert list(row().refused_subscriptions or {}) == ["message_edit", "standby"]
    meta.request("PATCH", "settings", refused_fields="")
    assert subscriptions.check(account.id).complete  # an operator's check asks for it


def test_a_permission_that_only_one_field_lacks_leaves_the_others_subscribed(graph: Graph) -> None:
    account = an_account()
    needed = "(#200) To subscribe to the standby field, one of these permissions is needed: pages_messaging"
    present: list[str] = []

    def say(connection: Any, request: Request) -> None:
        if "subscribed_fields=" not in request.target:
            connection.sendall(answer({"data": [{"subscribed_fields": present}]}))
        elif "standby" in request.target:
            connection.sendall(refused(needed, code=200))
        else:
            present[:] = [each for each in gateway.WEBHOOKS[Login.INSTAGRAM] if each in request.target]
            connection.sendall(answer({"success": True}))

    graph.say = say
    found = subscriptions.check(account.id)
    assert (found.missing, found.refused, found.problem) == (("standby",), {"standby": needed}, None)


def test_fields_are_tried_one_after_another_when_meta_names_none(graph: Graph) -> None:
    account = an_account()
    present: list[str] = []

    def say(connection: Any, request: Request) -> None:
        if "subscribed_fields=" not in request.target:
            connection.sendall(answer({"data": [{"subscribed_fields": present}]}))
        elif "messaging_seen" in request.target:
            connection.sendall(refused("(#100) Invalid parameter"))
        else:
            present[:] = [each for each in gateway.WEBHOOKS[Login.INSTAGRAM] if each in request.target]
            connection.sendall(answer({"success": True}))

    graph.say = say
    found = subscriptions.check(account.id)
    assert (found.missing, found.problem) == (("messaging_seen",), None)
    assert found.refused == {"messaging_seen": "(#100) Invalid parameter"}


def test_a_field_that_meta_confirms_and_does_not_list_is_missing(graph: Graph) -> None:
    account = an_account()
    listed = [each for each in gateway.WEBHOOKS[Login.INSTAGRAM] if each != "standby"]
    graph.say = always(answer({"success": True, "data": [{"subscribed_fields": listed}]}))
    found = subscriptions.check(account.id)
    assert (found.missing, found.error) == (("standby",), "Not subscribed to standby")


def test_a_subscription_that_meta_confirms_is_believed_while_nothing_is_listed_yet(graph: Graph) -> None:
    account = an_account()
    graph.say = always(answer({"success": True, "data": []}))
    assert subscriptions.check(account.id).complete


def test_a_subscription_that_meta_does_not_confirm_is_not_claimed(graph: Graph) -> None:
    account = an_account()
    graph.say = always(answer({"success": False, "data": []}))
    assert subscriptions.check(account.id).unknown == "Instagram's answer could not be understood"


def test_metas_message_is_shown_without_tokens_lists_and_markup(graph: Graph, app: Flask) -> None:
    account = an_account()
    fields = ", ".join(f"field_{number}" for number in range(90))
    graph.say = always(refused(f"(#10) <b>No</b> EAAcanaryToken123456 one of {{{fields}}} sandbox-token", code=10))
    problem = subscriptions.check(account.id).problem
    assert problem == "(#10) <b>No</b> [secret] one of {…} sandbox-token"
    page = signed_in(app).get("/accounts").text
    assert "&lt;b&gt;No&lt;/b&gt;" in page
    assert "EAAcanary" not in page


def test_a_message_that_quotes_the_accounts_own_token_is_redacted(graph: Graph) -> None:
    account = an_account(token="plainsecretvalue")
    graph.say = always(refused("(#10) plainsecretvalue may not do this", code=10))
    assert subscriptions.check(account.id).problem == (
        "The account's access token lacks a permission. Reconnect the account (10)"
    )


def test_a_check_that_meta_does_not_answer_never_claims_that_webhooks_are_subscribed(meta: Sandbox, app: Flask) -> None:
    a_sandbox_account()
    meta.post("faults", mode="500", call="subscribed_apps")
    checked = nametag("account", "check", MAISON_LUNE)
    assert checked.exit_code == 1
    assert "Can't check the webhook subscription" in checked.stdout
    assert row().subscription_checked_at is None
    ops = signed_in(app)
    click(ops, f"/accounts/{MAISON_LUNE}/check")
    assert "webhooks are subscribed.</p>" not in ops.get("/accounts").text


def test_a_new_account_whose_webhooks_could_not_be_subscribed_yet_says_so(meta: Sandbox) -> None:
    meta.post("faults", mode="500", call="subscribed_apps")
    added = connect.add(OPERATOR, ATELIER_NORD, login="facebook", token=FACEBOOK_TOKEN, page_id=ATELIER_NORD_PAGE)
    assert "not checked yet" in (connect.subscription_of(added).warning or "")


def test_results_with_an_earlier_access_token_are_not_shown_for_a_new_one(refusing: Sandbox) -> None:
    account = a_sandbox_account(ATELIER_NORD)
    subscriptions.check(account.id)
    refusing.request("DELETE", "faults")
    refusing.post("faults", mode="500", call="subscribed_apps")
    added = connect.add(OPERATOR, ATELIER_NORD, login="facebook", token=FACEBOOK_TOKEN)
    assert connect.subscription_of(added).problem is None
    assert "not checked yet" in (connect.subscription_of(added).warning or "")


def test_a_login_of_a_newer_release_is_no_refusal_of_metas(meta: Sandbox) -> None:
    account = a_sandbox_account()
    with transaction.write() as tx:
        tx.execute(text("UPDATE accounts SET login = 'a newer login'"))
    assert "Update Nametag" in (subscriptions.check(account.id).unknown or "")
    assert row().subscription_problem is None
    with transaction.write() as tx:
        tx.execute(text("UPDATE accounts SET subscription_problem = 'No.'"))
    assert "no messages arrive" in str(findings(MAISON_LUNE))
    assert meta.get("calls") == []
