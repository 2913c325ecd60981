"""Lifetime of access tokens: refresh them weekly, and report problems before they expire.

Only access tokens of Instagram Login expire, after 60 days (docs/meta-platform.md#access-tokens).
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from app import clock
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret, SecretUnreadable
from app.errors import NotFound
from app.instagram.errors import GraphAPIError
from app.models.account import Account, AccountState, Login
from app.text import plural

logger = logging.getLogger(__name__)

WEEK = timedelta(days=7)
SOON = timedelta(days=7)  # a shorter lifetime is shown on every page of the account, and refreshed immediately
YOUNG = timedelta(hours=24)  # Meta refuses to refresh a younger one
RETRY_AFTER = timedelta(days=1)  # after a failed refresh


@dataclass(frozen=True, slots=True)
class TokenExpiry:
    """The status of an access token. `says` is its text.

    `works` is False once Meta rejects the token; `reconnect` asks for action now or within 7 days; `well`: no problem.
    """

    says: str
    works: bool = True
    reconnect: bool = False
    well: bool = True


COLUMNS = (
    *(Account.login, Account.state, Account.state_reason),
    *(Account.token, Account.token_expires_at, Account.token_problem),
)


def token_expiry(row: Any, *, refreshes: bool = True) -> TokenExpiry:
    """Return the status of an account's access token, from a row with COLUMNS. Makes no API call.

    `refreshes` is whether the schedule that refreshes it is on.
    """
    if not _readable(row.token):
        return _ended("Cannot decrypt it with TOKEN_ENCRYPTION_KEYS. Restore the old key or reconnect the account.")
    if row.state is not AccountState.CONNECTED:
        return _ended(row.state_reason or "Rejected by Meta. Reconnect the account.")
    left = row.token_expires_at - clock.now() if row.token_expires_at else None
    if left is not None and left <= timedelta(0):
        return _ended("Expired. Reconnect the account.")
    days = "" if left is None else plural(left.days, "day")
    if left is not None and left < SOON:
        return TokenExpiry(f"Expires in {days}. Reconnect the account.", reconnect=True, well=False)
    if row.token_problem:
        valid = f"The access token is still valid{days and f' for {days}'}"
        return TokenExpiry(
            f"Automatic refresh failed: {row.token_problem}. {valid}; Nametag retries daily.", well=False
        )
    if row.login is Login.INSTAGRAM and not refreshes:
        valid = f"Valid for {days}" if days else "Valid"
        return TokenExpiry(f"{valid}. Automatic refresh is off: switch it on in Schedules.")
    if row.login is Login.INSTAGRAM:
        valid = f"Valid for {days}, refreshes automatically every week"
        return TokenExpiry(valid if days else "Valid. Expiry date available after the first refresh, within a day.")
    return TokenExpiry(
        f"Valid for {days}. Reconnect the account before it expires." if days else "Valid, does not expire"
    )


def refresh_due(off: Collection[int] = ()) -> int:
    """Refresh access tokens that are a week old; after a day those that expire soon or at an unknown time.

    Leaves out the accounts `off`. Return how many Meta refreshed.
    """
    now, refreshed = clock.now(), 0
    due = select(Account.id).where(_due(now), Account.id.not_in(off))
    for account_id in db.session.scalars(due.order_by(Account.id)).all():
        try:
            refreshed += _refresh(account_id)
        except NotFound:
            logger.info("account removed before its token was refreshed", extra={"account": account_id})
    return refreshed


def _readable(token: Secret | None) -> bool:
    try:
        return token is not None and bool(token.reveal())
    except SecretUnreadable:
        return False


def _ended(says: str) -> TokenExpiry:
    return TokenExpiry(says, works=False, reconnect=True, well=False)


def _due(now: datetime) -> ColumnElement[bool]:
    urgent = or_(Account.token_expires_at.is_(None), Account.token_expires_at < now + SOON)
    return and_(
        Account.login == Login.INSTAGRAM,
        Account.state == AccountState.CONNECTED,
        Account.token.is_not(None),
        or_(Account.token_expires_at.is_(None), Account.token_expires_at > now),
        or_(Account.token_at <= now - WEEK, and_(urgent, Account.token_at <= now - YOUNG)),
        or_(Account.token_tried_at.is_(None), Account.token_tried_at <= now - RETRY_AFTER),
    )


def _refresh(account_id: int) -> bool:
    before = db.session.scalars(select(Account.token).where(Account.id == account_id)).one_or_none()
    try:
        given = gateway.refresh_token(account_id)
    except GraphAPIError as failure:
        logger.warning("access token not refreshed", extra={"account": account_id, "reason": str(failure)})
        _store_result(account_id, before, {"token_problem": failure.sentence})
        return False
    fresh = {"token": Secret.hide(given.value), "token_expires_at": given.expires_at, "token_at": clock.now()}
    _store_result(account_id, before, fresh | {"token_problem": None})
    return True


def _store_result(account_id: int, before: Secret | None, found: Mapping[str, object]) -> None:
    # Only if the row still holds the refreshed token: the account may have been reconnected meanwhile.
    row = update(Account).where(Account.id == account_id, Account.token == before)
    with transaction.write() as tx:
        tx.execute(row.values(token_tried_at=clock.now(), **found))
        tx.mark_changed(account_id)
