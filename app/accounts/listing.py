"""Connected accounts as people and programs may see them: never a token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select

from app.db.engine import db
from app.errors import NotFound
from app.models.inbox import Account, AccountState, Login
from app.viewer import Viewer

_COLUMNS = (
    Account.id,
    Account.ig_account_id,
    Account.username,
    Account.login,
    Account.location_id,
    Account.state,
    Account.state_reason,
    Account.connected_at,
    Account.last_webhook_at,
    Account.token_expires_at,
    Account.subscription_checked_at,
    Account.missing_subscriptions,
    Account.refused_subscriptions,
    Account.subscription_problem,
)


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """A connected account; `state_reason` says what must be mended when it is not "connected". Times are aware UTC.

    `token_expires_at` is None for a token that does not expire, and while it is not known. The webhook subscription is
    as it was found at `subscription_checked_at`, None while that was never asked (accounts/subscriptions.py).
    """

    id: int
    ig_account_id: str
    username: str | None
    login: Login
    location_id: str | None
    state: AccountState
    state_reason: str | None
    connected_at: datetime
    last_webhook_at: datetime | None
    token_expires_at: datetime | None
    subscription_checked_at: datetime | None
    missing_subscriptions: list[str] | None
    refused_subscriptions: dict[str, str] | None
    subscription_problem: str | None


def accounts(viewer: Viewer) -> list[ListedAccount]:
    """Return the accounts the viewer may see, by username."""
    found = _visible(viewer).order_by(Account.username, Account.id)
    return [ListedAccount(*row) for row in db.session.execute(found)]


def by_ig_id(viewer: Viewer, ig_account_id: str) -> ListedAccount:
    """Return the account with this professional account id; raises NotFound, also for what the viewer may not see."""
    row = db.session.execute(_visible(viewer).where(Account.ig_account_id == ig_account_id)).first()
    if row is None:
        raise NotFound("account")
    return ListedAccount(*row)


def by_location(viewer: Viewer, location_id: str) -> ListedAccount:
    """Return the account of a location, or with this professional account id; raises NotFound as `by_ig_id` does."""
    found = _visible(viewer).where(or_(Account.location_id == location_id, Account.ig_account_id == location_id))
    row = db.session.execute(found.order_by(Account.id)).first()
    if row is None:
        raise NotFound("account")
    return ListedAccount(*row)


def _visible(viewer: Viewer) -> Select[*tuple[Any, ...]]:
    found = select(*_COLUMNS).where(Account.state != AccountState.DELETING)
    return found if viewer.account_ids is None else found.where(Account.id.in_(viewer.account_ids))
