"""Schedules that users switched off for single accounts. The schedules themselves are in `schedules`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select

from app import clock
from app.db.engine import db
from app.db.transaction import Tx
from app.models.account import Account, AccountState
from app.models.process import AccountScheduleOff, SchedulerDuty
from app.viewer import Viewer

REFRESHES_TOKENS = "token-refresh"  # the schedule that the status of access tokens depends on


@dataclass(frozen=True, slots=True)
class AccountOff:
    """An account for which a schedule is off; `account` is its name. `off_at` is aware UTC."""

    id: int
    ig_account_id: str
    account: str
    off_at: datetime
    off_by: str
    off_reason: str | None


def by_schedule(viewer: Viewer) -> dict[str, tuple[AccountOff, ...]]:
    """Return the accounts that the viewer sees and for which a schedule is off, by its name; ordered by username."""
    account = func.coalesce(Account.username, Account.ig_account_id).label("account")
    off = AccountScheduleOff
    found = (
        select(off.name, Account.id, Account.ig_account_id, account, off.off_at, off.off_by, off.off_reason)
        .join(Account, Account.id == off.account_id)
        .where(Account.state != AccountState.DELETING)
        .order_by(account, Account.id)
    )
    rows = defaultdict[str, list[AccountOff]](list)
    for row in db.session.execute(viewer.visible(found, Account.id)):
        rows[row.name].append(AccountOff(**{key: value for key, value in row._mapping.items() if key != "name"}))
    return {name: tuple(each) for name, each in rows.items()}


def accounts_without_token_refresh(account_ids: Sequence[int]) -> set[int]:
    """Return those of `account_ids` whose access tokens are not refreshed, because a user switched that off."""
    duty, off = SchedulerDuty, AccountScheduleOff
    everywhere = select(duty.name).where(duty.name == REFRESHES_TOKENS, duty.off_at.is_not(None))
    one = select(off.name).where(off.account_id == Account.id, off.name == REFRESHES_TOKENS)
    found = select(Account.id).where(Account.id.in_(account_ids), or_(everywhere.exists(), one.exists()))
    return set(db.session.scalars(found))


def switch_off(tx: Tx, name: str, account_id: int, *, off_by: str, reason: str | None) -> bool:
    """Switch a schedule off for an account. Return False if it is off already."""
    values = {"off_at": clock.now(), "off_by": off_by, "off_reason": reason}
    row = tx.insert(AccountScheduleOff).values(name=name, account_id=account_id, **values)
    return tx.execute(row.on_conflict_do_nothing().returning(AccountScheduleOff.name)).first() is not None


def switch_on(tx: Tx, name: str, account_id: int) -> bool:
    """Switch a schedule on for an account. Return False if it is on already."""
    row = delete(AccountScheduleOff).where(AccountScheduleOff.name == name, AccountScheduleOff.account_id == account_id)
    return bool(tx.execute(row).rowcount)
