"""Receipts of deleted contacts. A receipt is the deletion's entry in the audit log, and as old as that can become."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app import audit, clock
from app.db.engine import db
from app.db.transaction import Tx
from app.erasure.contact_data import Contact, DataPart
from app.errors import NotFound
from app.models.account import Account
from app.models.audit import Action, AuditEntry
from app.viewer import Role, Viewer

UNREACHED = "a name in Redis expires within 24 hours"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a deletion `at` (aware UTC). It names neither the contact nor a message.

    `contact` is the pseudonym of the contact: always the same, and not reversible. `deleted_by` is the email address of
    the user, the name of the API token, or the actor. `deleted` has the number of deleted rows in words.
    """

    id: int
    at: datetime
    deleted_by: str
    account: str
    ig_account_id: str
    contact: str
    deleted: tuple[str, ...]


def write(tx: Tx, viewer: Viewer, contact: Contact, counts: dict[DataPart, int], *, cached: bool) -> int:
    """Write the receipt of a deletion, in its transaction. Return its ID.

    `cached` says that Redis was unavailable, so that it may hold the name until it expires.
    """
    words = [part.words(number) for part, number in counts.items() if number]
    return audit.note(
        tx,
        viewer,
        Action.PERSON_DELETED,
        audit.pseudonym(contact.ig_account_id, contact.ig_participant_id),
        detail=", ".join([*words, UNREACHED] if cached else words),
        account_id=contact.account_id,
    )


def get_receipt(viewer: Viewer, receipt_id: int) -> Receipt:
    """Return a receipt, for admins. Raises NotFound, also for one of an account that they may not see."""
    viewer.require(Role.ADMIN)
    found = select(AuditEntry).where(AuditEntry.id == receipt_id, AuditEntry.action == Action.PERSON_DELETED)
    row = db.session.execute(found).scalar()
    if row is None:
        raise NotFound("receipt")
    account = db.session.execute(select(Account.id).where(Account.ig_account_id == row.ig_account_id)).scalar()
    if not viewer.sees(account):
        raise NotFound("receipt")
    ig_account_id = row.ig_account_id or ""
    return Receipt(
        id=row.id,
        at=row.at,
        deleted_by=audit.names(viewer).get(row.actor, row.actor),
        account=audit.account_names(viewer).get(ig_account_id, ig_account_id),
        ig_account_id=ig_account_id,
        contact=row.subject or "",
        deleted=tuple((row.detail or "").split(", ")) if row.detail else (),
    )


def as_dict(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as API and command line show it."""
    return {
        "id": str(receipt.id),
        "deletedAt": clock.rfc3339(receipt.at),
        "deletedBy": receipt.deleted_by,
        "accountId": receipt.ig_account_id,
        "contact": receipt.contact,
        "deleted": list(receipt.deleted),
    }
