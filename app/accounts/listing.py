"""Connected accounts for pages, API and commands, without access tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select

from app.calls import refusals
from app.calls.refusals import Refusal
from app.db.engine import db
from app.errors import NotFound
from app.models.account import Account, AccountState, Login
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
    Account.alerts_muted_at,
    Account.alerts_muted_by,
)


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """A connected account; `state_reason` says why it is not "connected" and what to do. Times are aware UTC.

    `lookup_problem` says which calls Meta refuses now, or None. `token_expires_at` is None for an access token that
    does not expire, and while unknown. The webhook subscription is the result of the check at
    `subscription_checked_at`, None before the first check (accounts/subscriptions.py).
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
    alerts_muted_at: datetime | None
    alerts_muted_by: str | None
    lookup_problem: str | None

    @property
    def name(self) -> str:
        """What users call the account: its username, else its professional account ID."""
        return self.username or self.ig_account_id


def accounts(viewer: Viewer) -> list[ListedAccount]:
    """Return the accounts the viewer may see, by username."""
    return _listed(_visible(viewer).order_by(Account.username, Account.id))


def by_ig_id(viewer: Viewer, ig_account_id: str) -> ListedAccount:
    """Return the account with this professional account ID; raises NotFound, also for one the viewer may not see."""
    return _first(_visible(viewer).where(Account.ig_account_id == ig_account_id))


def by_location(viewer: Viewer, location_id: str) -> ListedAccount:
    """Return the account of a location, or with this professional account ID; raises NotFound as `by_ig_id` does."""
    found = _visible(viewer).where(or_(Account.location_id == location_id, Account.ig_account_id == location_id))
    return _first(found.order_by(Account.id).limit(1))


def _first(query: Select[*tuple[Any, ...]]) -> ListedAccount:
    found = _listed(query)
    if not found:
        raise NotFound("account")
    return found[0]


def _listed(query: Select[*tuple[Any, ...]]) -> list[ListedAccount]:
    refused = refusals.by_account()
    return [
        ListedAccount(**row._mapping, lookup_problem=_problem(refused.get(row.id, [])))
        for row in db.session.execute(query)
    ]


def _problem(refused: list[Refusal]) -> str | None:
    return ". ".join(each.says for each in refused if each.ended_at is None) or None


def _visible(viewer: Viewer) -> Select[*tuple[Any, ...]]:
    found = select(*_COLUMNS).where(Account.state != AccountState.DELETING)
    return viewer.visible(found, Account.id)
