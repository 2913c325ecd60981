"""Lifetime of access tokens: refreshed weekly against the sandbox; failures are shown early."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import settings
from app.accounts import health, tokens
from app.accounts.tokens import TokenExpiry
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret
from app.models.account import Account, AccountState, Login
from app.viewer import OPERATOR
from tests.calls.lookups import noted
from tests.factories import ATELIER_NORD, MAISON_LUNE, a_sandbox_account
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

OTHER_KEY = ("b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItbzA=",)


@pytest.fixture
def database(sqlite_database: str) -> str:
    """One kind is enough: what is told apart here is Meta's answers."""
    return sqlite_database


def row(ig_account_id: str = MAISON_LUNE) -> Account:
    db.session.rollback()
    return db.session.scalars(select(Account).where(Account.ig_account_id == ig_account_id)).one()


def token_of(account: Account) -> str:
    assert account.token is not None
    return account.token.reveal()


def life(ig_account_id: str = MAISON_LUNE) -> TokenExpiry:
    db.session.rollback()
    return next(each.token for each in health.list_health(OPERATOR) if each.account.ig_account_id == ig_account_id)


def aged(
    frozen_clock: FrozenClock, *, days: float, left: float | None, ig_account_id: str = MAISON_LUNE, **fields: Any
) -> Account:
    """Store an account whose token came `days` ago and has `left` more."""
    now = frozen_clock.now()
    expires_at = None if left is None else now + timedelta(days=left)
    return a_sandbox_account(ig_account_id, token_at=now - timedelta(days=days), token_expires_at=expires_at, **fields)


def test_a_token_is_refreshed_once_a_week(meta: Sandbox, frozen_clock: FrozenClock) -> None:
    aged(frozen_clock, days=6.9, left=53)
    tokens.refresh_due()
    assert noted() == []
    frozen_clock.forward(hours=3)
    tokens.refresh_due()
    account = row()
    assert token_of(account).startswith("IGAAsandboxFresh")
    assert account.token_at == frozen_clock.now()
    assert account.token_expires_at is not None
    assert account.token_expires_at - frozen_clock.now() > timedelta(days=59)
    assert [(each.call, each.answer) for each in noted()] == [("refresh", "Access token refreshed")]
    tokens.refresh_due()
    assert len(noted()) == 1


@pytest.mark.parametrize(
    ("days", "left", "ig_account_id", "state", "asked"),
    [
        (0.9, None, MAISON_LUNE, AccountState.CONNECTED, False),  # younger than 24 hours
        (1.1, None, MAISON_LUNE, AccountState.CONNECTED, True),  # pasted: its life is found out
        (1.1, 6, MAISON_LUNE, AccountState.CONNECTED, True),  # little is left
        (1.1, 50, MAISON_LUNE, AccountState.CONNECTED, False),
        (61, -1, MAISON_LUNE, AccountState.CONNECTED, False),  # dead for good
        (8, 50, MAISON_LUNE, AccountState.RECONNECT, False),
        (8, None, ATELIER_NORD, AccountState.CONNECTED, False),  # a Page's does not end
    ],
)
def test_only_tokens_whose_time_has_come_are_refreshed(
    meta: Sandbox,
    frozen_clock: FrozenClock,
    days: float,
    left: float | None,
    ig_account_id: str,
    state: AccountState,
    asked: bool,
) -> None:
    aged(frozen_clock, days=days, left=left, ig_account_id=ig_account_id, state=state)
    tokens.refresh_due()
    assert bool(noted()) is asked


def test_a_failed_refresh_is_shown_and_retried_a_day_later(meta: Sandbox, frozen_clock: FrozenClock) -> None:
    aged(frozen_clock, days=8, left=50)
    meta.post("faults", mode="500", call="refresh")
    tokens.refresh_due()
    tokens.refresh_due()
    assert [each.call for each in noted()] == ["refresh"]
    assert life() == TokenExpiry(
        "Automatic refresh failed: Instagram has a temporary problem. "
        "The access token is still valid for 50 days; Nametag retries daily.",
        well=False,
    )
    meta.request("DELETE", "faults")
    frozen_clock.forward(days=1)
    tokens.refresh_due()
    assert life() == TokenExpiry("Valid for 59 days, refreshes automatically every week")


def test_a_dead_token_found_by_its_refresh_stops_the_account(meta: Sandbox, frozen_clock: FrozenClock) -> None:
    aged(frozen_clock, days=8, left=50)
    meta.post("faults", mode="190", call="refresh")
    tokens.refresh_due()
    assert row().state is AccountState.RECONNECT
    assert life().reconnect


def test_a_token_that_came_meanwhile_is_kept(
    meta: Sandbox, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = aged(frozen_clock, days=8, left=50)
    refreshed = gateway.refresh_token

    def meanwhile(account_id: int) -> Any:
        given = refreshed(account_id)
        with transaction.write() as tx:
            tx.session.get_one(Account, account_id).token = Secret.hide("IGAAnewer")
        return given

    monkeypatch.setattr(gateway, "refresh_token", meanwhile)
    tokens.refresh_due()
    assert token_of(row()) == "IGAAnewer"
    assert account.id


@pytest.mark.parametrize(
    ("fields", "says", "reconnect"),
    [
        ({"left": 53}, "Valid for 53 days, refreshes automatically every week", False),
        ({"left": 1.5}, "Expires in 1 day. Reconnect the account.", True),
        ({"left": 6.9}, "Expires in 6 days. Reconnect the account.", True),
        ({"left": -1}, "Expired. Reconnect the account.", True),
        ({"left": None}, "Valid. Expiry date available after the first refresh, within a day.", False),
        ({"left": None, "ig_account_id": ATELIER_NORD}, "Valid, does not expire", False),
        ({"left": None, "login": Login.UNIFIED}, "Valid, does not expire", False),
        ({"left": 53, "login": Login.UNIFIED}, "Valid for 53 days. Reconnect the account before it expires.", False),
        ({"left": 9, "state": AccountState.RECONNECT, "state_reason": "It is dead"}, "It is dead", True),
    ],
)
def test_the_lifetime_of_an_access_token_has_a_text(
    app: Flask, frozen_clock: FrozenClock, fields: dict[str, Any], says: str, reconnect: bool
) -> None:
    aged(frozen_clock, days=1, **fields)
    told = life(fields.get("ig_account_id", MAISON_LUNE))
    assert (told.says, told.reconnect) == (says, reconnect)


def test_an_access_token_without_its_key_is_shown_as_unreadable_and_the_others_work(
    app: Flask, frozen_clock: FrozenClock
) -> None:
    aged(frozen_clock, days=1, left=50)
    with settings.using(token_encryption_keys=OTHER_KEY):
        a_sandbox_account(ATELIER_NORD)
        assert "Cannot decrypt it" in life().says
        assert life().reconnect
        assert life(ATELIER_NORD).well
