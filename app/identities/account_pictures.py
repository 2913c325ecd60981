"""The accounts' own pictures, and which are due. A worker fetches them (`picture_fetch`)."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select

from app import clock
from app.db.engine import db
from app.identities import avatars, display
from app.identities.display import Avatar, DisplayName
from app.models.account import Account, AccountPicture, AccountState

AGAIN = timedelta(days=7)  # Meta does not report a new picture


def accounts_due() -> list[int]:
    """Return the internal IDs of accounts whose picture is due: never fetched, a week ago, or failed a day ago."""
    return list(db.session.scalars(select(Account.id).outerjoin(AccountPicture).where(*_due()).order_by(Account.id)))


def is_due(account_id: int) -> bool:
    """Return whether the picture of an account is due."""
    due = select(Account.id).outerjoin(AccountPicture).where(Account.id == account_id, *_due())
    return db.session.execute(due).first() is not None


def versions(ig_account_ids: Collection[str]) -> dict[str, str | None]:
    """Return the versions of the stored pictures of accounts, by professional account ID."""
    stored = select(Account.ig_account_id, AccountPicture.version).join(AccountPicture)
    rows = db.session.execute(stored.where(Account.ig_account_id.in_(ig_account_ids)))
    return {row.ig_account_id: row.version for row in rows}


def avatar(ig_account_id: str, name: str, version: str | None) -> Avatar:
    """Return the avatar of an account; `version` is that of its stored picture, None without one."""
    shown = DisplayName(name, name, None, known=True)
    return display.avatar(ig_account_id, shown, avatars.picture_url(ig_account_id, ig_account_id, version))


def _due() -> tuple[ColumnElement[bool], ...]:
    now = clock.now()
    failed = and_(AccountPicture.content.is_(None), AccountPicture.tried_at < now - avatars.AGAIN)
    due = or_(AccountPicture.tried_at.is_(None), AccountPicture.tried_at < now - AGAIN, failed)
    return Account.state == AccountState.CONNECTED, Account.token.is_not(None), due
