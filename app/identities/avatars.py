"""Pictures of contacts, and which are due. A worker fetches them (`picture_fetch`); a deleted contact's is deleted.

The account's own picture is `account_pictures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select

from app import clock
from app.db.engine import db
from app.errors import NotFound
from app.models.account import Account, AccountPicture
from app.models.identity import Identity, StoredAvatar
from app.viewer import Viewer

CACHE_CONTROL = "private, max-age=604800, immutable"  # the version in `picture_url` changes with the picture
AGAIN = timedelta(hours=24)  # after a failure


@dataclass(frozen=True, slots=True)
class AvatarImage:
    """A small WebP picture, and its version: a digest that changes with the content."""

    content: bytes
    version: str


def accounts_with_pending() -> list[int]:
    """Return the internal IDs of accounts that have pictures to fetch."""
    return list(
        db.session.scalars(select(Identity.account_id).outerjoin(StoredAvatar, _SAME).where(*_wanted()).distinct())
    )


def pending(account_id: int, most: int) -> Sequence[Row[int, str | None]]:
    """Return the ID and picture URL of contacts whose picture is due: new ones, and those that failed a day ago."""
    columns = (Identity.id, Identity.picture_url)
    found = select(*columns).outerjoin(StoredAvatar, _SAME).where(Identity.account_id == account_id, *_wanted())
    return db.session.execute(found.order_by(Identity.picture_at.desc()).limit(most)).all()


def get_picture(viewer: Viewer, ig_account_id: str, ig_participant_id: str) -> AvatarImage:
    """Return the picture of a contact, or of the account itself, whose ID is no contact's.

    Raises NotFound without one, also for a contact the viewer may not see.
    """
    if ig_participant_id == ig_account_id:
        return _first(viewer, _OF_ACCOUNT.where(Account.ig_account_id == ig_account_id))
    found = (
        select(StoredAvatar.content, StoredAvatar.version)
        .join(Identity, _SAME)
        .join(Account, Identity.is_contact(Account.id, ig_participant_id))
        .where(Account.ig_account_id == ig_account_id, StoredAvatar.content.is_not(None))
    )
    return _first(viewer, found)


def picture_url(ig_account_id: str, ig_participant_id: str, version: str | None) -> str | None:
    """Return the URL of a stored picture, None without a version."""
    return f"/avatars/{ig_account_id}/{ig_participant_id}?v={version}" if version else None


_SAME = StoredAvatar.identity_id == Identity.id
_OF_ACCOUNT = select(AccountPicture.content, AccountPicture.version).join(Account)


def _wanted() -> tuple[ColumnElement[bool], ...]:
    never = StoredAvatar.tried_at.is_(None)
    newer = StoredAvatar.tried_at < Identity.picture_at
    failed = and_(StoredAvatar.content.is_(None), StoredAvatar.tried_at < clock.now() - AGAIN)
    return Identity.picture_url.is_not(None), or_(never, newer, failed)


def _first(viewer: Viewer, found: Select[bytes | None, str | None]) -> AvatarImage:
    row = db.session.execute(viewer.visible(found, Account.id)).first()
    if row is None or row.content is None or row.version is None:
        raise NotFound("picture")
    return AvatarImage(row.content, row.version)
