"""How long an account's token lives: refreshed every week, and said early when that does not work.

Only Instagram Login tokens end after sixty days; the token of a Page does not (instagram-platform.md 11).
"""

import logging
from collections.abc import Mapping
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
from app.models.inbox import Account, AccountState, Login

logger = logging.getLogger(__name__)

WEEK = timedelta(days=7)
SOON = timedelta(days=7)  # less life than this is said on every page of the account, and refreshed at once
YOUNG = timedelta(hours=24)  # Meta refreshes no younger one
AGAIN = timedelta(days=1)  # after a try that failed


@dataclass(frozen=True, slots=True)
class TokenExpiry:
    """How a token is, in words for people. `reconnect` says that an owner must act soon, or has to at once."""

    says: str
    works: bool = True
    reconnect: bool = False
    well: bool = True


COLUMNS = (
    *(Account.login, Account.state, Account.state_reason),
    *(Account.token, Account.token_expires_at, Account.token_problem),
)


def token_expiry(row: Any) -> TokenExpiry:
    """Return how the token of an account is whose `COLUMNS` these are; asks nobody."""
    if not _readable(row.token):
        return _ended("It cannot be read with the configured keys; restore the key or reconnect the account")
    if row.state is not AccountState.CONNECTED:
        return _ended(row.state_reason or "It is no longer accepted; reconnect the account")
    left = row.token_expires_at - clock.now() if row.token_expires_at else None
    if left is not None and left <= timedelta(0):
        return _ended("It has expired; reconnect the account")
    days = "" if left is None else f"{left.days} {'day' if left.days == 1 else 'days'}"
    if left is not None and left < SOON:
        return TokenExpiry(f"Works for {days} more; reconnect the account", reconnect=True, well=False)
    if row.token_problem:
        return TokenExpiry(
            f"Works{days and f' for {days} more'}, but was not refreshed: {row.token_problem}", well=False
        )
    if row.login is Login.INSTAGRAM:
        refreshed = f"Works for {days} more, and is refreshed every week"
        return TokenExpiry(refreshed if days else "Works; expiry date available after the first refresh")
    return TokenExpiry(
        f"Works for {days} more; reconnect the account before it ends" if days else "Works, and does not expire"
    )


def refresh_due() -> None:
    """Refresh every token whose week is over; one whose life is not known, or nearly over, as soon as it may be."""
    now = clock.now()
    for account_id in db.session.scalars(select(Account.id).where(_due(now)).order_by(Account.id)).all():
        try:
            _refresh(account_id)
        except NotFound:
            logger.info("account removed before its token was refreshed", extra={"account": account_id})


def _readable(token: Secret | None) -> bool:
    try:
        return token is not None and bool(token.reveal())
    except SecretUnreadable:
        return False


def _ended(says: str) -> TokenExpiry:
    return TokenExpiry(says, works=False, reconnect=True, well=False)


def _due(now: datetime) -> ColumnElement[bool]:
    pressing = or_(Account.token_expires_at.is_(None), Account.token_expires_at < now + SOON)
    return and_(
        Account.login == Login.INSTAGRAM,
        Account.state == AccountState.CONNECTED,
        Account.token.is_not(None),
        or_(Account.token_expires_at.is_(None), Account.token_expires_at > now),
        or_(Account.token_at <= now - WEEK, and_(pressing, Account.token_at <= now - YOUNG)),
        or_(Account.token_tried_at.is_(None), Account.token_tried_at <= now - AGAIN),
    )


def _refresh(account_id: int) -> None:
    before = db.session.scalars(select(Account.token).where(Account.id == account_id)).one_or_none()
    try:
        given = gateway.refresh_token(account_id)
    except GraphAPIError as failure:
        logger.warning("a token could not be refreshed", extra={"account": account_id, "reason": str(failure)})
        _note(account_id, before, {"token_problem": failure.sentence})
        return
    fresh = {"token": Secret.hide(given.value), "token_expires_at": given.expires_at, "token_at": clock.now()}
    _note(account_id, before, fresh | {"token_problem": None})


def _note(account_id: int, before: Secret | None, found: Mapping[str, object]) -> None:
    # Only if the row still holds the token that was refreshed: another may have come with a new connection.
    row = update(Account).where(Account.id == account_id, Account.token == before)
    with transaction.write() as tx:
        tx.execute(row.values(token_tried_at=clock.now(), **found))
        tx.mark_changed(account_id)
