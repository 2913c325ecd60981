"""Account health: webhook subscription, and unusually long silences."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, update

from app import clock, settings
from app.accounts import connect, health, subscriptions, tokens
from app.accounts.health import Health
from app.calls import credentials, gateway
from app.db import transaction
from app.db.engine import db
from app.models.account import Account, AccountState, Login
from app.viewer import OPERATOR, Role, Viewer
from tests.calls.lookups import noted
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, a_sandbox_account, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

TOKEN = "IGAAsandboxMaisonLune0123456789"


def the_health() -> Health:
    db.session.rollback()
    [found] = health.list_health(OPERATOR)
    return found


@pytest.mark.parametrize(
    ("ig_account_id", "fields"),
    [(MAISON_LUNE, gateway.WEBHOOKS[Login.INSTAGRAM]), (ATELIER_NORD, gateway.WEBHOOKS[Login.FACEBOOK])],
)
def test_what_is_not_subscribed_is_subscribed(meta: Sandbox, ig_account_id: str, fields: tuple[str, ...]) -> None:
    account = a_sandbox_account(ig_account_id)
    assert gateway.missing_subscriptions(account.id) == fields
    subscriptions.check(account.id)
    assert gateway.missing_subscriptions(account.id) == ()
    assert the_health().subscription.complete
    assert the_health().checked_at is not None
    assert the_health().well


@pytest.mark.parametrize(("checked_before", "level"), [(False, "INFO"), (True, "WARNING")])
def test_only_a_subscription_that_was_lost_is_worth_a_warning(
    meta: Sandbox, caplog: pytest.LogCaptureFixture, checked_before: bool, level: str
) -> None:
    account = a_sandbox_account()
    if checked_before:
        with transaction.write() as tx:
            tx.execute(update(Account).values(subscription_checked_at=clock.now()))
    with caplog.at_level(logging.INFO):
        subscriptions.check(account.id)
    told = [each.levelname for each in caplog.records if each.message == "missing webhook fields subscribed"]
    assert told == [level]


def test_connecting_subscribes(meta: Sandbox, app: Flask) -> None:
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token=TOKEN)
    assert the_health().checked_at is not None
    assert the_health().well


def test_a_check_that_fails_changes_nothing_but_the_log(meta: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    account = a_sandbox_account()
    meta.post("faults", mode="500", call="subscribed_apps")
    subscriptions.check_all()
    assert the_health().checked_at is None
    assert "webhook subscription not checked" in caplog.text
    assert account.id


def wrote_every(hours: float, times: int, until: datetime) -> None:
    for place in range(times):
        people_wrote(LEA, at=until - timedelta(hours=hours * place))


def test_silence_is_measured_against_the_account_s_own_rhythm(app: Flask, frozen_clock: FrozenClock) -> None:
    a_sandbox_account()
    wrote_every(2, 25, frozen_clock.now())
    frozen_clock.forward(hours=3.9)
    assert not the_health().silent
    frozen_clock.forward(hours=0.2)
    assert the_health().silent
    assert not the_health().well


def test_a_busy_account_may_be_quiet_for_an_hour(app: Flask, frozen_clock: FrozenClock) -> None:
    a_sandbox_account()
    wrote_every(0.02, 25, frozen_clock.now())
    frozen_clock.forward(minutes=59)
    assert not the_health().silent
    frozen_clock.forward(minutes=2)
    assert the_health().silent


def test_few_messages_show_no_rhythm(app: Flask, frozen_clock: FrozenClock) -> None:
    a_sandbox_account()
    wrote_every(1, 5, frozen_clock.now())
    frozen_clock.forward(days=3)
    assert not the_health().silent


def test_a_dead_token_is_not_well_and_foreign_accounts_are_not_shown(app: Flask) -> None:
    account = a_sandbox_account()
    with transaction.write() as tx:
        tx.execute(update(Account).values(state=AccountState.RECONNECT))
    assert not the_health().well
    assert (
        health.list_health(Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({account.id + 1})))
        == []
    )


def test_a_problem_fixed_at_meta_or_in_the_keys_ends_automatically(meta: Sandbox) -> None:
    a_sandbox_account(state=AccountState.RECONNECT, state_reason="Log in at Instagram first")
    meta.post("faults", mode="190-checkpoint", call="me", count=1)
    health.check_refused()
    assert the_health().account.state is AccountState.RECONNECT
    with settings.using(token_encryption_keys=("b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItbzA=",)):
        health.check_refused()
        assert "Cannot decrypt" in the_health().token.says
    health.check_refused()
    assert the_health().account.state is AccountState.CONNECTED
    assert [call["kind"] for call in meta.get("calls")] == ["me", "me"]


def test_an_account_without_an_access_token_is_not_checked(meta: Sandbox) -> None:
    an_account(token=None, state=AccountState.RECONNECT)
    health.check_refused()
    assert the_health().account.state is AccountState.RECONNECT
    assert meta.get("calls") == []


@pytest.mark.parametrize("duty", [health.check_refused, subscriptions.check_all, tokens.refresh_due])
def test_an_account_that_is_removed_during_a_check_does_not_keep_others_from_theirs(
    meta: Sandbox, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, duty: Callable[[], None]
) -> None:
    week_ago = frozen_clock.now() - timedelta(days=8)
    due: dict[str, Any] = {"login": Login.INSTAGRAM, "ig_app_scoped_id": None, "token_at": week_ago}
    removed, kept = a_sandbox_account(ATELIER_NORD, **due).id, a_sandbox_account(**due).id
    account = credentials.account

    def meanwhile(account_id: int) -> credentials.MetaAccount:
        with transaction.write() as tx:
            tx.execute(delete(Account).where(Account.id == removed))
        return account(account_id)

    monkeypatch.setattr(credentials, "account", meanwhile)
    duty()
    assert {row.account_id for row in noted()} == {kept}
