"""The layout around every page: account selection, counts, active jobs, and the API call budget."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app import clock, findings
from app.calls import budget
from app.calls.budget import Forecast
from app.db.engine import db
from app.errors import NotFound
from app.identities import display
from app.inbox import listing
from app.models.account import Account, AccountState
from app.models.run import ACTIVE, Run
from app.viewer import Role, Viewer


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """An account the viewer may switch to."""

    ig_account_id: str
    name: str
    initials: str
    hue: int
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
    budget: BudgetMeter | None

    @property
    def reconnect(self) -> bool:
        """Whether an account of the viewer has to be reconnected."""
        return any(account.reconnect for account in self.accounts)


# While the database is unavailable: only the links to the pages.
EMPTY_LAYOUT = Layout("", "", "", False, False, None, (), 0, 0, 0, False, False, None)


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """A viewer's accounts as (internal ID, professional account ID, name), longest connected first.

    `place` is the index of the selected one; `reconnect` holds the internal IDs of those without a valid access token.
    """

    accounts: tuple[tuple[int, str, str], ...]
    place: int
    reconnect: frozenset[int] = frozenset()

    @property
    def account_id(self) -> int | None:
        """The internal ID of the selected account, None before the first account is connected."""
        return self.accounts[self.place][0] if self.accounts else None

    @property
    def ig_account_id(self) -> str:
        """The professional account ID of the selected account, or an empty string."""
        return self.accounts[self.place][1] if self.accounts else ""


def select_account(
    viewer: Viewer, *, ig_account_id: str | None = None, account_id: int | None = None, last_used: str | None = None
) -> AccountSelection:
    """Return the viewer's accounts with one selected, by professional or internal ID, else `last_used` or the first.

    Raises NotFound for a named account that does not exist or that the viewer may not see.
    """
    found = select(Account.id, Account.ig_account_id, Account.username, Account.state).order_by(Account.id)
    found = found.where(Account.state != AccountState.DELETING)
    found = viewer.visible(found, Account.id)
    rows = db.session.execute(found).all()
    accounts = tuple((row.id, row.ig_account_id, row.username or row.ig_account_id) for row in rows)
    reconnect = frozenset(row.id for row in rows if row.state is AccountState.RECONNECT)
    db.session.rollback()  # ends SQLite's snapshot: what follows must not be older than its change token
    for place, (own_id, ig_id, _) in enumerate(accounts):
        if own_id == account_id or (account_id is None and ig_id == ig_account_id):
            return AccountSelection(accounts, place, reconnect)
    if account_id is not None or ig_account_id is not None:
        raise NotFound("account")
    place = next((place for place, (_, ig_id, _) in enumerate(accounts) if ig_id == last_used), 0)
    return AccountSelection(accounts, place, reconnect)


def get_layout(viewer: Viewer, at: AccountSelection) -> Layout:
    """Return the layout of a page with this account selection."""
    choices = tuple(
        _choice(account, current=place == at.place, reconnect=account[0] in at.reconnect)
        for place, account in enumerate(at.accounts)
    )
    operates = viewer.may(Role.OPS)
    counts = listing.counts(viewer, at.account_id) if at.account_id else listing.Counts(0, 0, 0)
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
        budget=_budget(forecast(at.account_id)),
    )


def forecast(account_id: int | None) -> Forecast | None:
    """Return the forecast of an account's budget, None without an account or while Redis is unavailable."""
    return budget.forecast(account_id) if account_id is not None else None


def _choice(account: tuple[int, str, str], *, current: bool, reconnect: bool) -> AccountChoice:
    _, ig_account_id, name = account
    return AccountChoice(ig_account_id, name, display.initials(name), display.hue(ig_account_id), current, reconnect)


def _running(account_id: int | None) -> bool:
    found = select(Run.id).where(Run.account_id == account_id, Run.state.in_(ACTIVE)).limit(1)
    return account_id is not None and db.session.execute(found).first() is not None


def _budget(left: Forecast | None) -> BudgetMeter | None:
    if left is None:
        return None
    return BudgetMeter(left.used, left.limit, left.resets_at, left.free_at, left.spenders)
