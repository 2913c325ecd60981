"""The audit log: which user, API token or process did what. IDs only, stored for 400 days.

An entry is written in the transaction of its change, so that neither is stored without the other.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from app import clock, settings, text
from app.db import transaction
from app.db.engine import db
from app.db.paging import fetch_page
from app.db.transaction import Tx
from app.errors import Invalid
from app.models.account import Account
from app.models.audit import Action as Action  # for the web and the CLI, which import no models
from app.models.audit import AuditEntry
from app.models.user import ApiToken, User
from app.viewer import Role, Viewer

KEPT = timedelta(days=400)
PAGE = 50
PSEUDONYM_DIGITS = 16
DETAIL_CHARACTERS = 200
ADDRESS_CHARACTERS = 45  # of an IPv6 address

_COLUMNS = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor,
    AuditEntry.action,
    AuditEntry.subject,
    AuditEntry.detail,
    AuditEntry.ig_account_id,
    AuditEntry.address,
    AuditEntry.route,
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One audit entry; `at` is aware UTC.

    `actor` is "user 3", "token 2", "command line", "schedule" or the like. `detail` is the old and new role and account
    access of a changed user. `address` is the IP address of a sign-in, a use of an API token or a refused attempt.
    `route` is method and path of a refused attempt: "GET /jobs/<run_id>".
    """

    id: int
    at: datetime
    actor: str
    action: Action
    subject: str | None
    detail: str | None
    ig_account_id: str | None
    address: str | None
    route: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filter of entries: one actor, action or subject, older than the entry with the ID `before`."""

    actor: str | None = None
    action: Action | None = None
    subject: str | None = None
    before: int | None = None


def parse_filter(
    *, actor: str | None = None, action: str | None = None, subject: str | None = None, before: int | None = None
) -> AuditFilter:
    """Return the filter of a request. Raises Invalid for an unknown action."""
    if action and action not in set(Action):
        raise Invalid({"action": "Choose an action from the list."})
    return AuditFilter(actor or None, Action(action) if action else None, subject or None, before)


def note(
    tx: Tx,
    viewer: Viewer,
    action: Action,
    subject: str | None = None,
    *,
    detail: str | None = None,
    account_id: int | None = None,
    address: str | None = None,
    route: str | None = None,
) -> int:
    """Record that `viewer` does `action`, in the transaction that does it. Return the entry's ID.

    `subject` is a word and an ID, "job 4f2a" or "user 3": never a name, a text or a secret; neither is `detail`, which
    is cut at DETAIL_CHARACTERS. `account_id` is the row ID
    of an account that still exists. `address` is the IP address of the request.
    """
    account = select(Account.ig_account_id).where(Account.id == account_id).scalar_subquery()
    values = {"at": clock.now(), "actor": viewer.actor, "action": action, "subject": subject, "route": route}
    values["detail"] = detail and text.clip(detail, DETAIL_CHARACTERS)
    values["ig_account_id"] = None if account_id is None else account
    values["address"] = address and text.storable(address)[:ADDRESS_CHARACTERS]  # a header may hold anything
    return int(tx.execute(tx.insert(AuditEntry).values(**values).returning(AuditEntry.id)).scalar_one())


def record(
    viewer: Viewer,
    action: Action,
    subject: str | None = None,
    *,
    address: str | None = None,
    route: str | None = None,
) -> None:
    """Record an action that changes no other row, in a transaction of its own."""
    with transaction.write() as tx:
        note(tx, viewer, action, subject, address=address, route=route)


def is_recorded(tx: Tx, viewer: Viewer, action: Action, *, address: str | None) -> bool:
    """Return whether an entry of this viewer, action and IP address exists."""
    found = select(AuditEntry.id).where(AuditEntry.actor == viewer.actor, AuditEntry.action == action)
    return tx.execute(found.where(AuditEntry.address == address).limit(1)).first() is not None


def pseudonym(ig_account_id: str, ig_participant_id: str) -> str:
    """Return the pseudonym of a deleted contact: always the same, and not reversible without SECRET_KEY."""
    key = settings.current().secret_key.encode()
    digest = hmac.new(key, f"{ig_account_id}:{ig_participant_id}".encode(), hashlib.sha256).hexdigest()
    return f"contact {digest[:PSEUDONYM_DIGITS]}"


def page(viewer: Viewer, want: AuditFilter, *, limit: int = PAGE) -> tuple[Sequence[AuditRow], int | None]:
    """Return the newest entries, for admins, and the ID after which the next page begins, None on the last page."""
    viewer.require(Role.ADMIN)
    found = select(*_COLUMNS).order_by(AuditEntry.id.desc())
    if want.actor:
        found = found.where(AuditEntry.actor == want.actor)
    if want.action:
        found = found.where(AuditEntry.action == want.action)
    if want.subject:
        found = found.where(AuditEntry.subject == want.subject)
    if want.before is not None:
        found = found.where(AuditEntry.id < want.before)
    rows, last = fetch_page(found, limit)
    return [AuditRow(**row._asdict()) for row in rows], last.id if last else None


def names(viewer: Viewer) -> dict[str, str]:
    """Return email addresses of users and names of API tokens by actor ("user 3", "token 2"), for admins."""
    viewer.require(Role.ADMIN)
    found_users = db.session.execute(select(User.id, User.email).order_by(User.email))
    tokens = db.session.execute(select(ApiToken.id, ApiToken.name).order_by(ApiToken.name))
    return {f"user {row.id}": row.email for row in found_users} | {f"token {row.id}": row.name for row in tokens}


def account_names(viewer: Viewer) -> dict[str, str]:
    """Return the usernames of connected accounts by professional account ID, for admins."""
    viewer.require(Role.ADMIN)
    rows = db.session.execute(select(Account.ig_account_id, Account.username).where(Account.username.is_not(None)))
    return {row.ig_account_id: row.username for row in rows}


def purge(tx: Tx, now: datetime) -> int:
    """Delete entries older than 400 days. Return their number."""
    return int(tx.execute(delete(AuditEntry).where(AuditEntry.at < now - KEPT)).rowcount)
