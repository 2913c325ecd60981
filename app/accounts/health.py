"""How accounts are: token, permissions, webhook subscription, and silence against their own rhythm."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from app import clock, settings
from app.accounts import listing, owner, subscriptions, tokens
from app.accounts.listing import ListedAccount
from app.accounts.subscriptions import Subscription
from app.accounts.tokens import TokenExpiry
from app.calls import oauth_flow, refusals
from app.calls.refusals import Refusal
from app.db.engine import db
from app.errors import NotFound
from app.instagram.errors import GraphAPIError
from app.models.inbox import Account, AccountState, Login, Message
from app.viewer import Viewer

logger = logging.getLogger(__name__)

RHYTHM = timedelta(days=14)
LEAST_MESSAGES = 20  # fewer tell no rhythm
MOST_MESSAGES = 5_000
SHORTEST_SILENCE = timedelta(hours=1)
PATIENCE = 2  # times the longest pause of the rhythm


@dataclass(frozen=True, slots=True)
class Health:
    """How an account is. `silent` says that nothing has come for far longer than is usual with it.

    `subscription` is as Meta was last asked, at `checked_at`; `permissions` are those of the `needed` ones that its
    owner gave, None where that is unknown. `synced` is the result of the last conversation sync, as ingest/sync.py
    keeps it.
    """

    account: ListedAccount
    silent: bool
    subscription: Subscription
    checked_at: datetime | None
    token: TokenExpiry
    permissions: tuple[str, ...] | None
    needed: tuple[str, ...]
    synced_at: datetime | None = None
    synced: dict[str, Any] | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def refused(self) -> tuple[str, ...]:
        """The permissions that the owner is known not to have given."""
        return () if self.permissions is None else tuple(each for each in self.needed if each not in self.permissions)

    @property
    def well(self) -> bool:
        """Whether nothing needs to be mended."""
        troubled = self.silent or self.refused or self.account.lookup_problem
        return self.token.well and self.subscription.complete and not troubled


def list_health(viewer: Viewer) -> list[Health]:
    """Return how the accounts are that the viewer may see; asks nobody but the database."""
    found = select(Account.id, Account.permissions, Account.synced_at, Account.synced, *tokens.COLUMNS)
    known = {row.id: row for row in db.session.execute(found)}
    refused = refusals.by_account()
    return [
        Health(
            account,
            silent=_silent(account),
            subscription=subscriptions.stored_subscription(account),
            checked_at=account.subscription_checked_at,
            token=tokens.token_expiry(known[account.id]),
            permissions=_given(known[account.id].permissions),
            needed=oauth_flow.PERMISSIONS.get(account.login, ()),
            synced_at=known[account.id].synced_at,
            synced=known[account.id].synced,
            refusals=tuple(refused.get(account.id, ())),
        )
        for account in listing.accounts(viewer)
    ]


def check_refused() -> None:
    """Ask Meta about accounts whose token it refused, and about those whose owner's ID is not known yet.

    A token that works again reconnects the account. The ID is what Meta names in an owner's requests.
    """
    refused = Account.state == AccountState.RECONNECT
    connected = Account.state == AccountState.CONNECTED
    asked = select(Account.id).where(Account.token.is_not(None), or_(refused, and_(connected, _owner_is_unknown())))
    for account_id in db.session.scalars(asked.order_by(Account.id)).all():
        try:
            owner.verify_owner(account_id)
        except (GraphAPIError, NotFound) as failure:  # an account that was removed meanwhile is not found
            logger.info("account not checked", extra={"account": account_id, "reason": str(failure)})


def _owner_is_unknown() -> ColumnElement[bool]:
    of_instagram = and_(Account.login == Login.INSTAGRAM, Account.ig_app_scoped_id.is_(None))
    if not settings.current().meta_app_id:  # Meta may refuse to tell anyone but the app who authorized a token
        return of_instagram
    return or_(of_instagram, and_(Account.login != Login.INSTAGRAM, Account.owner_id.is_(None)))


def _given(permissions: list[str] | None) -> tuple[str, ...] | None:
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
