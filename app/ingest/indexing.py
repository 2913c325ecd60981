"""What search finds a message by: its words, kind, origin and links. And indexing of messages of older releases."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update

from app import search_words
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.instagram.events import EventKind
from app.models.conversation import Message

BATCH = 500  # rows per transaction
_URL = re.compile(r"(?i)\bhttps?://\S|\bwww\.\w")


def terms(
    kind: str, *, text: str | None, attachments: Sequence[Mapping[str, Any]] | None, context: Mapping[str, Any] | None
) -> str:
    """Return the search terms of a message with this stored content."""
    return search_words.stored(text, _facts(kind, text, attachments or (), context or {}))


def index_stored() -> None:
    """Index what an older release stored, newest first, in short transactions."""
    while _index_messages():
        pass
    while _index_names():
        pass


def _index_messages() -> bool:
    columns = (Message.id, Message.kind, Message.text, Message.attachments, Message.context)
    unindexed = select(*columns).where(Message.terms.is_(None)).order_by(Message.id.desc()).limit(BATCH)
    # Terms are stored only while the row is as it was read: an unsend meanwhile has indexed the message itself.
    missing = update(Message).where(Message.id == bindparam("row_id"), Message.terms.is_(None))
    db.session.rollback()
    if db.session.execute(unindexed.limit(1)).first() is None:
        return False
    with transaction.write() as tx:
        rows = tx.execute(unindexed.with_for_update(skip_locked=True)).all()
        found = [{"row_id": row.id, "found": _terms_of(row)} for row in rows]
        if found:
            tx.execute(missing.values(terms=bindparam("found")), found)
    return len(found) == BATCH


def _terms_of(row: Any) -> str:
    return terms(row.kind, text=row.text, attachments=row.attachments, context=row.context)


def _index_names() -> bool:
    if not observations.has_unindexed_names():
        return False
    with transaction.write() as tx:
        return observations.index_names(tx, BATCH) == BATCH


def _facts(
    kind: str, text: str | None, attachments: Sequence[Mapping[str, Any]], context: Mapping[str, Any]
) -> Iterator[str]:
    kinds = [str(kind), *(str(each.get("kind")) for each in attachments)]
    yield from (f"k{each}" for each in kinds)
    if EventKind.LINK in kinds or (text and _URL.search(text)):
        yield "hlink"
    reply, referral = context.get("reply_to"), context.get("referral")
    if isinstance(reply, Mapping) and isinstance(reply.get("story"), Mapping):
        yield "ostory"
    if isinstance(referral, Mapping) and referral:
        if isinstance(referral.get("ads_context_data"), Mapping):
            yield "oad"
        else:
            yield "oproduct" if isinstance(referral.get("product"), Mapping) else "olink"
