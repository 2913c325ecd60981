"""Deletions that a restore must repeat: which contacts and accounts were deleted, without saying who they were.

A backup holds what was deleted after it was made. The list is read from the database that is replaced, from the file
`deletions.jsonl` in the data directory, which the scheduler writes, and from a copy of that file.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from app import settings, tombstones
from app.audit import Action
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.erasure import accounts, contacts
from app.erasure.contact_data import Contact
from app.errors import Invalid
from app.models.account import ALL_IDS, Account, all_ids
from app.models.audit import AuditEntry
from app.models.conversation import Conversation
from app.models.erasure import Tombstone
from app.models.identity import Identity
from app.strict_json import load_json

FILE = "deletions.jsonl"
REMOVALS = (Action.ACCOUNT_REMOVED, Action.ACCOUNT_DELETION_ASKED)
MARGIN = timedelta(days=1)  # clocks of two hosts; older deletions are in the backup, or the account came back since


@dataclass(frozen=True, slots=True)
class Deletion:
    """A contact, by the digest of its ID, or a whole account was deleted `at` (aware UTC). `until`: see Tombstone."""

    at: datetime
    account: str
    contact: str | None = None
    until: datetime | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class RepeatedDeletions:
    """How many contacts and accounts a restore has deleted again."""

    contacts: int = 0
    accounts: int = 0


def stored(connection: Connection) -> list[Deletion]:
    """Return the deletions that the database knows."""
    columns = (Tombstone.at, Account.ig_account_id, Tombstone.contact_digest, Tombstone.until)
    gone = connection.execute(select(*columns).join(Account, Account.id == Tombstone.account_id))
    found = [Deletion(row.at, row.ig_account_id, bytes(row.contact_digest).hex(), row.until) for row in gone]
    removed = select(AuditEntry.at, AuditEntry.ig_account_id, AuditEntry.action)
    of_accounts = removed.where(AuditEntry.action.in_(REMOVALS), AuditEntry.ig_account_id.is_not(None))
    return found + [
        Deletion(row.at, row.ig_account_id, action=str(row.action)) for row in connection.execute(of_accounts)
    ]


def path() -> Path:
    """Return the path of the list in the data directory."""
    return settings.current().data_dir / FILE


def keep() -> None:
    """Write the list to the data directory if something was deleted since it was written."""
    newest = _newest()
    if newest is None or (newest == _kept.get(path()) and path().is_file()):
        return
    with db.engine.connect() as connection:
        lines = "".join(f"{json.dumps(_plain(each))}\n" for each in stored(connection))
    partial = path().with_suffix(".part")
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path())
    _kept[path()] = newest


def listed(file: Path | None) -> list[Deletion]:
    """Return the deletions in the data directory and in `file`, if given. Raises Invalid for an unreadable file."""
    files = [each for each in (path(), file) if each is not None and (each == file or each.is_file())]
    return [deletion for each in files for deletion in _read(each)]


def replay(tx: Tx, known: Iterable[Deletion], *, backed_up_at: datetime) -> RepeatedDeletions:
    """Delete again what was deleted after the backup, in the transaction that restores it."""
    newer = {each for each in known if each.at > backed_up_at - MARGIN}
    done = {(each.account, each.contact or each.action): each.at for each in stored(tx.connection)}
    contacts_again = accounts_again = 0
    by_account: dict[str, dict[str, str]] = {}
    for each in sorted(newer, key=lambda deletion: deletion.at):
        before = done.get((each.account, each.contact or each.action))
        row = tx.execute(select(Account.id, *ALL_IDS).where(Account.ig_account_id == each.account)).first()
        if row is None or (before is not None and before >= each.at):
            continue
        if each.contact is None:
            action = Action(each.action or Action.ACCOUNT_REMOVED)
            accounts.delete_restored(tx, row.id, each.account, action=action, at=each.at)
            accounts_again += 1
            continue
        if each.account not in by_account:
            by_account[each.account] = {digest(one).hex(): one for one in _contacts(tx, row.id)}
        contact = by_account[each.account].get(each.contact)
        if contact:
            contacts.delete_data(tx, Contact(row.id, each.account, contact, all_ids(row)))
            contacts_again += 1
        tombstones.add_digest(tx, row.id, bytes.fromhex(each.contact), at=each.at, until=each.until)
    return RepeatedDeletions(contacts_again, accounts_again)


_kept: dict[Path, datetime] = {}  # the newest deletion in the file, which this process wrote


def _newest() -> datetime | None:
    removed = select(func.max(AuditEntry.at)).where(AuditEntry.action.in_(REMOVALS))
    times = (tombstones.last_deleted_at(), db.session.execute(removed).scalar())
    return max((at for at in times if at is not None), default=None)


def _contacts(tx: Tx, account_id: int) -> Iterator[str]:
    for model in (Identity, Conversation):
        yield from tx.execute(select(model.ig_participant_id).where(model.account_id == account_id)).scalars()


def _plain(each: Deletion) -> dict[str, Any]:
    times = {"at": each.at.isoformat(), "until": each.until.isoformat() if each.until else None}
    return {"account": each.account, "contact": each.contact, "action": each.action} | times


def _read(file: Path) -> Iterator[Deletion]:
    try:
        for line in file.read_text().splitlines():
            found: dict[str, Any] = load_json(line)
            until = found.get("until")
            yield Deletion(
                at=datetime.fromisoformat(found["at"]),
                account=found["account"],
                contact=found.get("contact"),
                until=datetime.fromisoformat(until) if until else None,
                action=found.get("action"),
            )
    except OSError as error:
        raise Invalid({"deletions": f"Can't read {file}: {error.strerror or error}. Nothing was changed."}) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid({"deletions": f"{file} is not a list of deletions. Nothing was changed."}) from error
