"""The layout around every page: account selection, counts, active jobs, and the API call budget."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select

from app import clock, findings
from app.alerts import listing as alerts
from app.alerts.listing import AlertKind, ListedAlert
from app.calls import budget
from app.calls.budget import Forecast
from app.db.engine import db
from app.errors import NotFound
from app.identities import account_pictures, display
from app.identities.display import Avatar
from app.inbox import listing
from app.inbox.listing import Counts
from app.models.run import IS_ACTIVE, Run
from app.viewer import Role, Viewer, VisibleAccount

_ACTIVE_RUN = select(Run.id).where(Run.account_id == bindparam("account_id"), IS_ACTIVE).limit(1)


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """An account the viewer may switch to."""

    ig_account_id: str
    name: str
    avatar: Avatar
    current: bool
    reconnect: bool


@dataclass(frozen=True, slots=True)
class BudgetMeter:
    """The selected account's API calls of the last 60 minutes, by purpose, most first. Times are aware UTC.

    The next used call frees up at `resets_at`; a job may make its next call at `free_at`.
    """

    used: int
    limit: int
    resets_at: datetime | None
    free_at: datetime
    spenders: tuple[tuple[str, int], ...]

    @property
    def waits(self) -> bool:
        """Whether jobs have to wait for the budget."""
        return self.free_at > clock.now()


@dataclass(frozen=True, slots=True)
class Layout:
    """What the navigation shows; `account` is None before the first account is connected."""

    viewer_name: str
    viewer_initials: str
    role: str
    operates: bool
    sees_queues: bool
    account: AccountChoice | None
    accounts: tuple[AccountChoice, ...]
    unread_count: int
    unknown_count: int
    needs_reply_count: int
    running: bool
    failing: bool  # a health check found an error; for ops and admins
    alerts: tuple[ListedAlert, ...]  # open ones that no user has acknowledged, newest first; for ops and admins
    budget: BudgetMeter | None

    @property
    def reconnect(self) -> bool:
        """Whether an account of the viewer has to be reconnected."""
        return any(account.reconnect for account in self.accounts)

    def alerts_in_bar(self, section: str) -> tuple[ListedAlert, ...]:
        """Return the alerts for the bar above a page of `section`: those that the page does not show itself.

        The Alerts page lists all. The inbox has a bar of its own for a selected account without a valid access token.
        """
        shown = self.account.ig_account_id if section == "inbox" and self.account and self.account.reconnect else None
        if section == "alerts":
            return ()
        return tuple(
            each
            for each in self.alerts
            if each.kind is not AlertKind.TOKEN_REJECTED or shown is None or each.ig_account_id != shown
        )


# While the database is unavailable: only the links to the pages.
EMPTY_LAYOUT = Layout("", "", "", False, False, None, (), 0, 0, 0, False, False, (), None)


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """The accounts that a viewer may select, longest connected first; `place` is the index of the selected one."""

    accounts: tuple[VisibleAccount, ...]
    place: int

    @property
    def account_id(self) -> int | None:
        """The internal ID of the selected account, None before the first account is connected."""
        return self.accounts[self.place].id if self.accounts else None

    @property
    def ig_account_id(self) -> str:
        """The professional account ID of the selected account, or an empty string."""
        return self.accounts[self.place].ig_account_id if self.accounts else ""


def select_account(
    accounts: tuple[VisibleAccount, ...],
    *,
    ig_account_id: str | None = None,
    account_id: int | None = None,
    last_used: str | None = None,
) -> AccountSelection:
    """Select one of a viewer's accounts, by professional or internal ID, else `last_used` or the first.

    Raises NotFound for a named account that is not among them.
    """
    for place, account in enumerate(accounts):
        if account.id == account_id or (account_id is None and account.ig_account_id == ig_account_id):
            return AccountSelection(accounts, place)
    if account_id is not None or ig_account_id is not None:
        raise NotFound("account")
    place = next((place for place, account in enumerate(accounts) if account.ig_account_id == last_used), 0)
    return AccountSelection(accounts, place)


def get_layout(viewer: Viewer, at: AccountSelection) -> Layout:
    """Return the layout of a page with this account selection."""
    choices = tuple(
        AccountChoice(
            account.ig_account_id,
            account.name,
            account_pictures.avatar(account.ig_account_id, account.name, account.picture_version),
            current=place == at.place,
            reconnect=account.reconnect,
        )
        for place, account in enumerate(at.accounts)
    )
    operates = viewer.may(Role.OPS)
    counts = listing.counts(viewer, at.account_id) if at.account_id else Counts(0, 0, 0)
    return Layout(
        viewer_name=viewer.name,
        viewer_initials=display.initials(viewer.name.partition("@")[0]),
        role=viewer.role.value,
        operates=operates,
        sees_queues=viewer.sees_queues,
        account=choices[at.place] if choices else None,
        accounts=choices,
        unread_count=counts.unread,
        unknown_count=counts.unknown,
        needs_reply_count=counts.needs_reply,
        running=_running(at.account_id),
        failing=operates and findings.has_error(viewer),
        alerts=alerts.list_unacknowledged(viewer) if operates else (),
        budget=_budget(forecast(at.account_id)),
    )


def forecast(account_id: int | None) -> Forecast | None:
    """Return the forecast of an account's budget, None without an account or while Redis is unavailable."""
    return budget.forecast(account_id) if account_id is not None else None


def _running(account_id: int | None) -> bool:
    return account_id is not None and db.session.execute(_ACTIVE_RUN, {"account_id": account_id}).first() is not None


def _budget(left: Forecast | None) -> BudgetMeter | None:
    if left is None:
        return None
    return BudgetMeter(left.used, left.limit, left.resets_at, left.free_at, left.spenders)
