"""Export the data of one contact: a zip file with contact.json and messages.html, written while it is sent.

Nothing is stored for it. Messages are read in chunks, so memory stays bounded however long the thread is.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sqlalchemy import func, select, tuple_

from app import audit, clock, logs
from app.db import transaction
from app.db.engine import db
from app.erasure import contact_data
from app.erasure.contact_data import DEAD_LETTERS, IDENTITY, MESSAGES, PARTS, PICTURE, SINGLE, Contact, DataPart
from app.identities.listing import ListedIdentity
from app.instagram import previews
from app.instagram.events import EventKind
from app.models.audit import Action
from app.models.conversation import Message
from app.models.identity import StoredAvatar
from app.strict_json import load_json
from app.text import camel_case, escape_invisible, web_url
from app.viewer import Viewer

CONTENT_TYPE = "application/zip"
CHUNK = 500  # messages in memory at the same time
NOTE = (
    "Photos, videos and voice messages are links to Instagram’s servers. Meta lets these links expire, and Nametag "
    "stores no copies. Messages that were unsent have no text."
)
_API_NAMES = {"ig_participant_id": "participantPlatformId", "ig_sender_id": "senderId", "run_id": "jobId"}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:45rem;margin:2rem auto;padding:0 1rem;color:#18181b}"
    "article{margin:1rem 0;padding-left:.75rem;border-left:3px solid #d4d4d8}article.out{border-color:#2563eb}"
    "header{color:#52525b;font-size:.875rem}p{margin:.25rem 0;white-space:pre-wrap;overflow-wrap:anywhere}"
)


def archive(viewer: Viewer, identity_id: int) -> Iterator[bytes]:
    """Return the parts of a zip file with all data of a contact, for admins; rows are read while the caller iterates.

    Raises Forbidden and NotFound before any row is read. Messages that arrive meanwhile are not included.
    """
    contact, identity = contact_data.get_contact(viewer, identity_id)
    with transaction.write() as tx:
        audit.note(tx, viewer, Action.CONTACT_EXPORTED, f"identity {identity_id}", account_id=contact.account_id)
    return _zip(contact, identity, at=clock.now())


def filename(identity_id: int) -> str:
    """Return the name of the file, which does not name the contact."""
    return f"contact-{identity_id}.zip"


class _Sink:
    """A file that only grows, for ZipFile; `take` returns what was written since the last call."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: `take` empties it."""

    def close(self) -> None:
        """Do nothing."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def _zip(contact: Contact, identity: ListedIdentity, *, at: datetime) -> Iterator[bytes]:
    newest = db.session.execute(select(func.max(Message.id))).scalar() or 0
    picture = db.session.execute(select(StoredAvatar.content).where(PICTURE.find(db.session.execute, contact))).scalar()
    files: list[tuple[str, Callable[[], Iterable[bytes]]]] = [
        ("contact.json", lambda: _json(contact, newest, at=at)),
        ("messages.html", lambda: _html(contact, identity, newest, at=at)),
    ]
    if picture:
        files.append(("picture.webp", lambda: [bytes(picture)]))
    sink: Any = _Sink()
    with ZipFile(sink, "w") as file:
        for name, pieces in files:
            info = ZipInfo(name, at.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED
            with file.open(info, "w", force_zip64=True) as entry:
                for piece in pieces():
                    entry.write(piece)
                    if written := sink.take():
                        yield written
    yield sink.take()


def _json(contact: Contact, newest: int, *, at: datetime) -> Iterator[bytes]:
    head = {"exportedAt": at, "accountId": contact.ig_account_id, "note": NOTE}
    yield _dump(head).removesuffix("}").encode()
    for part in PARTS:
        yield f",\n{_dump(part.key)}: ".encode()
        rows = _rows(part, contact, newest)
        if part in SINGLE:
            yield _dump(next(iter(rows), None)).encode()
            continue
        yield b"["
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n{_dump(row)}".encode()
        yield b"]"
    yield b"\n}\n"


def _rows(part: DataPart, contact: Contact, newest: int) -> Iterator[dict[str, Any]]:
    if part is MESSAGES:
        yield from (_facts(part, row) for row in _messages(contact, newest))
        return
    found = select(*part.exported).where(part.find(db.session.execute, contact)).order_by(*part.exported[:1])
    rows = db.session.execute(found).all()
    db.session.rollback()  # hold no snapshot while a slow client reads
    for row in rows:
        facts = _facts(part, row)
        if part is DEAD_LETTERS:
            facts["raw"] = _raw_of(contact, bytes(row.raw))
        if part is IDENTITY and row.raw_answer:
            facts["rawAnswer"] = escape_invisible(logs.redact(json.dumps(row.raw_answer, ensure_ascii=False)))
        yield facts


def _messages(contact: Contact, newest: int) -> Iterator[Any]:
    """Yield the messages of a contact, oldest first, up to the one that was the newest when the export began."""
    columns = (*MESSAGES.exported, Message.id)
    of_contact = (MESSAGES.find(db.session.execute, contact), Message.id <= newest)
    found = select(*columns).where(*of_contact).order_by(Message.sent_at, Message.id).limit(CHUNK)
    after: Sequence[Any] | None = None
    while True:
        some = found if after is None else found.where(tuple_(Message.sent_at, Message.id) > after)
        rows = db.session.execute(some).all()
        db.session.rollback()
        yield from rows
        if len(rows) < CHUNK:
            return
        after = (rows[-1].sent_at, rows[-1].id)


def _facts(part: DataPart, row: Any) -> dict[str, Any]:
    facts = {_API_NAMES.get(column.key) or camel_case(column.key): getattr(row, column.key) for column in part.exported}
    if part is MESSAGES and row.kind == EventKind.UNSENT:
        facts |= dict.fromkeys(("text", "attachments", "context"))
    return facts


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str | None:
    return clock.rfc3339(value) if isinstance(value, datetime) else None


def _raw_of(contact: Contact, raw: bytes) -> str | None:
    """Return a dead letter if it is one event of this contact; a whole delivery may hold data of other contacts."""
    try:
        event = load_json(raw)
        parties = {str(event[each]["id"]) for each in ("sender", "recipient")}
    except (ValueError, KeyError, TypeError):
        return None
    return raw.decode(errors="replace") if parties <= {contact.ig_participant_id, *contact.own_ids} else None


def _html(contact: Contact, identity: ListedIdentity, newest: int, *, at: datetime) -> Iterator[bytes]:
    name = escape(identity.display.text)
    yield (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Messages of {name}</title><style>{_STYLE}</style>'
        f"<h1>Messages of <bdi>{name}</bdi></h1><p>Exported {_time(at)}. {escape(NOTE)}</p>\n"
    ).encode()
    number = 0
    for row in _messages(contact, newest):
        number += 1
        yield _article(contact, row, name).encode()
    yield f"<p>{MESSAGES.words(number)}. Times are UTC.</p></html>\n".encode()


def _article(contact: Contact, row: Any, name: str) -> str:
    ours = row.outgoing or row.ig_sender_id in contact.own_ids
    sender = "Account" if ours else name if row.ig_sender_id == contact.ig_participant_id else escape(row.ig_sender_id)
    edited = " · edited" if row.edit_number is not None else ""
    facts = _facts(MESSAGES, row)
    words = previews.preview(row.kind, facts["text"], outgoing=ours)
    links = "".join(_link(each, ours=ours) for each in facts["attachments"] or ())
    emoji = " ".join(escape(str(each["emoji"])) for each in (row.reactions or {}).values() if each.get("emoji"))
    side = "out" if ours else "in"
    return (
        f'<article class="{side}"><header><bdi>{sender}</bdi> · {_time(row.sent_at)}{edited}</header>'
        f'<p dir="auto">{escape(words)}</p>{links}{f"<p>Reactions: {emoji}</p>" if emoji else ""}</article>\n'
    )


def _link(stored: dict[str, Any], *, ours: bool) -> str:
    label = escape(previews.label(str(stored.get("kind")), outgoing=ours))
    url = web_url(stored.get("url"))
    return f'<p><a rel="noreferrer" href="{escape(url)}">{label}</a></p>' if url else f"<p>{label}, without a link</p>"


def _time(at: datetime) -> str:
    return f'<time datetime="{clock.rfc3339(at)}">{at:%Y-%m-%d %H:%M:%S} UTC</time>'
