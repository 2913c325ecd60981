"""Pictures of contacts: a worker fetches them and stores a small WebP. Deleting a contact deletes the picture.

The account's own picture is `account_pictures`.
"""

import hashlib
import io
import logging
from dataclasses import dataclass
from datetime import timedelta

from PIL import Image, ImageOps
from sqlalchemy import ColumnElement, Select, and_, or_, select

from app import clock, isolation, queue, settings
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.instagram import image_fetch, media_urls
from app.instagram.image_fetch import NoImage
from app.models.account import Account, AccountPicture
from app.models.identity import Identity, StoredAvatar
from app.viewer import Viewer

logger = logging.getLogger(__name__)

CACHE_CONTROL = "private, max-age=604800, immutable"  # the version in `picture_url` changes with the picture
FORMATS = ("JPEG", "PNG", "WEBP")  # by content; never SVG
MOST_PIXELS = 4_096  # per side
SIDE, MOST_BYTES = 96, 64 * 1024
DECODE_SECONDS, DECODE_MEMORY = 8.0, 140 * 1024 * 1024  # of the child process that decodes
AGAIN = timedelta(hours=24)  # after a failure
BATCH = 50  # pictures per task


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


def fetch(account_id: int) -> int:
    """Fetch new pictures of an account, and those that failed a day ago. Return how many were stored.

    Stops after BATCH pictures, or when the worker is stopping.
    """
    columns = (Identity.id, Identity.picture_url)
    found = select(*columns).outerjoin(StoredAvatar, _SAME).where(Identity.account_id == account_id, *_wanted())
    due = db.session.execute(found.order_by(Identity.picture_at.desc()).limit(BATCH)).all()
    db.session.rollback()
    stored = 0
    for identity_id, url in due:
        # Marked as tried first: a picture that crashes the worker must not be retried immediately.
        if not _store(account_id, identity_id, None):
            continue
        picture = download(account_id, url or "")
        stored += picture is not None and _store(account_id, identity_id, picture)
        if queue.stopping():
            break
    return stored


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


def download(account_id: int, url: str) -> bytes | None:
    """Return the picture at a URL of Meta as a small WebP, None if it can't be fetched or is none."""
    ends = media_urls.expires_at(url)
    if ends is not None and ends < clock.now():
        return None
    try:
        picture = shrink(image_fetch.fetch(url, settings.current().media_hosts))
    except NoImage as reason:
        logger.info("picture not stored", extra={"account": account_id, "reason": str(reason)})
        return None
    return picture if len(picture) <= MOST_BYTES else None


def version_of(content: bytes) -> str:
    """Return the version of a picture, a digest of its content."""
    return hashlib.blake2s(content, digest_size=8).hexdigest()


def shrink(content: bytes) -> bytes:
    """Return a picture as a WebP of 96 × 96 pixels without metadata.

    Raises NoImage for other formats than JPEG, PNG and WebP, and for pictures that cannot be decoded within
    DECODE_SECONDS and DECODE_MEMORY.
    """
    try:
        return isolation.run(lambda: _shrunk(content), seconds=DECODE_SECONDS, most_memory=DECODE_MEMORY)
    except isolation.Failed as reason:
        raise NoImage(str(reason)) from None


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


def _shrunk(content: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if max(opened.size) > MOST_PIXELS:
                raise isolation.Failed("too many pixels")
            opened.draft("RGB", (SIDE * 2, SIDE * 2))
            fitted = ImageOps.fit(_reduced(opened).convert("RGB"), (SIDE, SIDE))
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise isolation.Failed(f"not a picture ({type(error).__name__})") from None
    written = io.BytesIO()
    fitted.save(written, "WEBP", quality=80)
    return written.getvalue()


def _reduced(picture: Image.Image) -> Image.Image:
    # Reduced first: a second copy of all pixels would not fit into DECODE_MEMORY.
    times = min(picture.size) // (SIDE * 2)
    return picture.reduce(times) if times > 1 and picture.mode in ("L", "RGB", "RGBA", "CMYK") else picture


def _store(account_id: int, identity_id: int, content: bytes | None) -> bool:
    version = version_of(content) if content else None
    values = {"tried_at": clock.now(), "content": content, "version": version}
    with transaction.write() as tx:
        found = select(Identity.ig_participant_id).where(Identity.id == identity_id)
        ig_participant_id = tx.execute(found.with_for_update(read=True, key_share=True)).scalar()
        if ig_participant_id is None:
            return False  # the contact was deleted in the meantime
        row = tx.insert(StoredAvatar).values(identity_id=identity_id, **values)
        # A failed fetch keeps the earlier picture.
        changed = values if content else {"tried_at": values["tried_at"]}
        tx.execute(row.on_conflict_do_update(index_elements=["identity_id"], set_=changed))
        if content:
            tx.mark_changed(account_id, ig_participant_id)
    return True
