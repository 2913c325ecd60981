"""The accounts' own pictures: a worker asks Meta for the URL, and stores a small WebP."""

import logging
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select

from app import clock
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import avatars, display
from app.identities.display import Avatar, DisplayName
from app.instagram.errors import GraphAPIError
from app.models.account import Account, AccountPicture, AccountState

logger = logging.getLogger(__name__)

AGAIN = timedelta(days=7)  # Meta does not report a new picture


def accounts_due() -> list[int]:
    """Return the internal IDs of accounts whose picture is due: never fetched, a week ago, or failed a day ago."""
    return list(db.session.scalars(select(Account.id).outerjoin(AccountPicture).where(*_due()).order_by(Account.id)))


def fetch(account_id: int) -> bool:
    """Fetch the picture of an account if that is due. Return whether one was stored."""
    due = select(Account.id).outerjoin(AccountPicture).where(Account.id == account_id, *_due())
    is_due = db.session.execute(due).first() is not None
    db.session.rollback()
    # Marked as tried first: a picture that crashes the worker must not be retried immediately.
    if not is_due or not _store(account_id, None):
        return False
    try:
        url = gateway.account_picture_url(account_id)
    except (GraphAPIError, NotFound) as failure:  # NotFound: the account was removed meanwhile
        logger.info("picture of the account not read", extra={"account": account_id, "reason": str(failure)})
        return False
    picture = avatars.download(account_id, url) if url else None
    return picture is not None and _store(account_id, picture)


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


def _store(account_id: int, content: bytes | None) -> bool:
    tried = {"tried_at": clock.now()}
    stored = tried | {"content": content, "version": avatars.version_of(content)} if content else tried
    with transaction.write() as tx:
        if tx.execute(select(Account.id).where(Account.id == account_id)).first() is None:
            return False  # the account was removed in the meantime
        row = tx.insert(AccountPicture).values(account_id=account_id, **stored)
        # A failed fetch keeps the earlier picture.
        tx.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=stored))
    return True
