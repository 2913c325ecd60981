"""Account health: access token, permissions, webhook subscription, and unusually long silences."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from app import clock, settings
from app.accounts import listing, owner, schedules_off, subscriptions, tokens
from app.accounts.listing import ListedAccount
from app.accounts.subscriptions import Subscription
from app.accounts.tokens import TokenExpiry
from app.calls import oauth_flow, refusals
from app.calls.refusals import Refusal
from app.db.engine import db
from app.errors import NotFound
from app.instagram.errors import GraphAPIError
from app.models.account import Account, AccountState, Login
from app.models.conversation import Message
from app.viewer import Viewer

logger = logging.getLogger(__name__)

RHYTHM = timedelta(days=14)
LEAST_MESSAGES = 20  # fewer show no rhythm
MOST_MESSAGES = 5_000
SHORTEST_SILENCE = timedelta(hours=1)
PATIENCE = 2  # times the longest silence of the last RHYTHM


@dataclass(frozen=True, slots=True)
class Health:
    """The health of an account. `silent`: no webhook has arrived for far longer than usual for this account.

    `subscription` is the result of the check at `checked_at`. `permissions` are those of `needed` that the owner
    granted, None if unknown. `last_sync_result` is that of the last conversation sync (ingest/sync.py). Times are aware
    UTC.
    """

    account: ListedAccount
    silent: bool
    subscription: Subscription
    checked_at: datetime | None
    token: TokenExpiry
    permissions: tuple[str, ...] | None
    needed: tuple[str, ...]
    last_synced_at: datetime | None = None
    last_sync_result: dict[str, Any] | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def refused(self) -> tuple[str, ...]:
        """The needed permissions that the owner did not grant; empty if unknown."""
        return () if self.permissions is None else tuple(each for each in self.needed if each not in self.permissions)

    @property
    def well(self) -> bool:
        """Whether the account needs no action."""
        troubled = self.silent or self.refused or self.account.lookup_problem
        return self.token.well and self.subscription.complete and not troubled


def list_health(viewer: Viewer) -> list[Health]:
    """Return the health of the accounts the viewer may see. Makes no API call."""
    found = select(Account.id, Account.permissions, Account.last_synced_at, Account.last_sync_result, *tokens.COLUMNS)
    known = {row.id: row for row in db.session.execute(found)}
    refused, unrefreshed = refusals.by_account(), schedules_off.accounts_without_token_refresh(list(known))
    return [
        Health(
            account,
            silent=_silent(account),
            subscription=subscriptions.stored_subscription(account),
            checked_at=account.subscription_checked_at,
            token=tokens.token_expiry(known[account.id], refreshes=account.id not in unrefreshed),
            permissions=_as_tuple(known[account.id].permissions),
            needed=oauth_flow.PERMISSIONS.get(account.login, ()),
            last_synced_at=known[account.id].last_synced_at,
            last_sync_result=known[account.id].last_sync_result,
            refusals=tuple(refused.get(account.id, ())),
        )
        for account in listing.accounts(viewer)
    ]


def as_dict(health: Health) -> dict[str, Any]:
    """Return an account with its health as API and command line show it; never an access token."""
    account = health.account
    return {
        "accountId": account.ig_account_id,
        "username": account.username,
        "login": account.login.value,
        "locationId": account.location_id,
        "state": account.state.value,
        "stateReason": account.state_reason,
        "lookupProblem": account.lookup_problem,
        "connectedAt": clock.rfc3339(account.connected_at),
        "lastWebhookAt": clock.rfc3339(account.last_webhook_at),
        "silent": health.silent,
        "tokenStatus": health.token.says,
        "tokenExpiresAt": clock.rfc3339(account.token_expires_at),
        "reconnectSoon": health.token.reconnect,
        "missingPermissions": list(health.refused),
        "subscriptionCheckedAt": clock.rfc3339(account.subscription_checked_at),
        "missingSubscriptions": list(account.missing_subscriptions or ()),
        "refusedSubscriptions": account.refused_subscriptions or {},
        "subscriptionProblem": account.subscription_problem,
        "lastSyncedAt": clock.rfc3339(health.last_synced_at),
        "alertsMutedAt": clock.rfc3339(account.alerts_muted_at),
        "alertsMutedBy": account.alerts_muted_by,
    }


def check_refused() -> None:
    """Check accounts whose access token Meta rejected, and those whose owner's ID is unknown.

    A successful call closes the circuit breaker of the account. Meta's requests of owners name the owner's ID.
    """
    refused = Account.state == AccountState.RECONNECT
    connected = Account.state == AccountState.CONNECTED
    due = select(Account.id).where(Account.token.is_not(None), or_(refused, and_(connected, _owner_is_unknown())))
    for account_id in db.session.scalars(due.order_by(Account.id)).all():
        try:
            owner.verify_owner(account_id)
        except (GraphAPIError, NotFound) as failure:  # NotFound: the account was removed meanwhile
            logger.info("account not checked", extra={"account": account_id, "reason": str(failure)})


def _owner_is_unknown() -> ColumnElement[bool]:
    of_instagram = and_(Account.login == Login.INSTAGRAM, Account.ig_app_scoped_id.is_(None))
    if not settings.current().meta_app_id:  # Meta may name a token's owner only to the app itself
        return of_instagram
    return or_(of_instagram, and_(Account.login != Login.INSTAGRAM, Account.owner_id.is_(None)))


def _as_tuple(permissions: list[str] | None) -> tuple[str, ...] | None:
    return None if permissions is None else tuple(permissions)


def _silent(account: ListedAccount) -> bool:
    if account.last_webhook_at is None:
        return False
    since = clock.now() - RHYTHM
    recent = select(Message.sent_at).where(Message.account_id == account.id, Message.sent_at > since)
    moments = db.session.scalars(recent.order_by(Message.sent_at).limit(MOST_MESSAGES)).all()
    return clock.now() - account.last_webhook_at > _usual_silence(moments)


def _usual_silence(moments: Sequence[datetime]) -> timedelta:
    if len(moments) < LEAST_MESSAGES:
        return RHYTHM
    longest = max(after - before for before, after in pairwise(moments))
    return max(SHORTEST_SILENCE, PATIENCE * longest)
