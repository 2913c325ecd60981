"""Fetch the pictures of contacts and accounts, in a worker, and store each as a small WebP.

Only workers import this module, because it loads Pillow. Pages read what it stores with `avatars`.
"""

import hashlib
import io
import logging

from PIL import Image, ImageOps
from sqlalchemy import select

from app import clock, isolation, queue, settings
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import account_pictures, avatars
from app.instagram import image_fetch, media_urls
from app.instagram.errors import GraphAPIError
from app.instagram.image_fetch import NoImage
from app.models.account import Account, AccountPicture
from app.models.identity import Identity, StoredAvatar

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP")  # by content; never SVG
MOST_PIXELS = 4_096  # per side
SIDE, MOST_BYTES = 96, 64 * 1024
DECODE_SECONDS, DECODE_MEMORY = 8.0, 140 * 1024 * 1024  # of the child process that decodes
BATCH = 50  # pictures per task


def fetch_contact_pictures(account_id: int) -> int:
    """Fetch new pictures of an account, and those that failed a day ago. Return how many were stored.

    Stops after BATCH pictures, or when the worker is stopping.
    """
    due = avatars.pending(account_id, BATCH)
    db.session.rollback()
    stored = 0
    for identity_id, url in due:
        # Marked as tried first: a picture that crashes the worker must not be retried immediately.
        if not _store_of_contact(account_id, identity_id, None):
            continue
        picture = _download(account_id, url or "")
        stored += picture is not None and _store_of_contact(account_id, identity_id, picture)
        if queue.stopping():
            break
    return stored


def fetch_account_picture(account_id: int) -> bool:
    """Fetch the picture of an account if that is due. Return whether one was stored."""
    is_due = account_pictures.is_due(account_id)
    db.session.rollback()
    # Marked as tried first: a picture that crashes the worker must not be retried immediately.
    if not is_due or not _store_of_account(account_id, None):
        return False
    try:
        url = gateway.account_picture_url(account_id)
    except (GraphAPIError, NotFound) as failure:  # NotFound: the account was removed meanwhile
        logger.info("picture of the account not read", extra={"account": account_id, "reason": str(failure)})
        return False
    picture = _download(account_id, url) if url else None
    return picture is not None and _store_of_account(account_id, picture)


def shrink(content: bytes) -> bytes:
    """Return a picture as a WebP of 96 × 96 pixels without metadata.

    Raises NoImage for other formats than JPEG, PNG and WebP, and for pictures that cannot be decoded within
    DECODE_SECONDS and DECODE_MEMORY.
    """
    try:
        return isolation.run(lambda: _shrunk(content), seconds=DECODE_SECONDS, most_memory=DECODE_MEMORY)
    except isolation.Failed as reason:
        raise NoImage(str(reason)) from None


def _download(account_id: int, url: str) -> bytes | None:
    ends = media_urls.expires_at(url)
    if ends is not None and ends < clock.now():
        return None
    try:
        picture = shrink(image_fetch.fetch(url, settings.current().media_hosts))
    except NoImage as reason:
        logger.info("picture not stored", extra={"account": account_id, "reason": str(reason)})
        return None
    return picture if len(picture) <= MOST_BYTES else None


def _store_of_contact(account_id: int, identity_id: int, content: bytes | None) -> bool:
    version = _version_of(content) if content else None
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


def _store_of_account(account_id: int, content: bytes | None) -> bool:
    tried = {"tried_at": clock.now()}
    stored = tried | {"content": content, "version": _version_of(content)} if content else tried
    with transaction.write() as tx:
        if tx.execute(select(Account.id).where(Account.id == account_id)).first() is None:
            return False  # the account was removed in the meantime
        row = tx.insert(AccountPicture).values(account_id=account_id, **stored)
        # A failed fetch keeps the earlier picture.
        tx.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=stored))
    return True


def _version_of(content: bytes) -> str:
    return hashlib.blake2s(content, digest_size=8).hexdigest()


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
