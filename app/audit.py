"""The audit log: who did what, from page, program, command line and schedule alike; ids only, kept for 400 days.

A change is noted in its own transaction, so that neither stands without the other.
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
from app.models.inbox import Account
from app.models.user import Action as Action  # for doors, which know no tables
from app.models.user import ApiToken, AuditEntry, User
from app.viewer import Role, Viewer

KEPT = timedelta(days=400)  # reliability.md S55
PAGE = 50
PSEUDONYM_DIGITS = 16
ADDRESS_CHARACTERS = 45  # of an IPv6 address

_COLUMNS = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor,
    AuditEntry.action,
    AuditEntry.subject,
    AuditEntry.ig_account_id,
    AuditEntry.address,
    AuditEntry.route,
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that was done, at an aware UTC time.

    `actor` is "user 3", "token 2", "command line", "schedule" or the like; `address` is the IP address of a sign-in, a
    token's use or a refused attempt; `route` is method and path of a refused attempt, "GET /jobs/<run_id>".
    """

    id: int
    at: datetime
    actor: str
    action: Action
    subject: str | None
    ig_account_id: str | None
    address: str | None
    route: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of one actor, of one action, older than the entry `before`."""

    actor: str | None = None
    action: Action | None = None
    before: int | None = None


def parse_filter(*, actor: str | None = None, action: str | None = None, before: int | None = None) -> AuditFilter:
    """Return what to look for, from words that somebody typed; raises Invalid for an action there is none of."""
    if action and action not in set(Action):
        raise Invalid({"action": "The action should be one of the list."})
    return AuditFilter(actor or None, Action(action) if action else None, before)


def note(
    tx: Tx,
    viewer: Viewer,
    action: Action,
    subject: str | None = None,
    *,
    account_id: int | None = None,
    address: str | None = None,
    route: str | None = None,
) -> None:
    """Write down that `viewer` does `action`, in the transaction that does it.

    `subject` is a word and an id, "job 4f2a" or "user 3": never a name, a text or a secret. `account_id` is ours, of
    an account that still exists; `address` is the IP address of the request.
    """
    account = select(Account.ig_account_id).where(Account.id == account_id).scalar_subquery()
    what = {"at": clock.now(), "actor": viewer.actor, "action": action, "subject": subject, "route": route}
    what["ig_account_id"] = None if account_id is None else account
    what["address"] = address and text.storable(address)[:ADDRESS_CHARACTERS]  # a header may hold anything
    tx.execute(tx.insert(AuditEntry).values(**what))


def record(
    viewer: Viewer,
    action: Action,
    subject: str | None = None,
    *,
    address: str | None = None,
    route: str | None = None,
) -> None:
    """Record, in a transaction of its own, what changes no other row."""
    with transaction.write() as tx:
        note(tx, viewer, action, subject, address=address, route=route)


def is_recorded(tx: Tx, viewer: Viewer, action: Action, *, address: str | None) -> bool:
    """Return whether `viewer` did `action` from `address` before."""
    found = select(AuditEntry.id).where(AuditEntry.actor == viewer.actor, AuditEntry.action == action)
    return tx.execute(found.where(AuditEntry.address == address).limit(1)).first() is not None


def pseudonym(ig_account_id: str, ig_participant_id: str) -> str:
    """Return what a deleted person is called here: always the same, and nothing leads back to them."""
    key = settings.current().secret_key.encode()
    digest = hmac.new(key, f"{ig_account_id}:{ig_participant_id}".encode(), hashlib.sha256).hexdigest()
    return f"person {digest[:PSEUDONYM_DIGITS]}"


def page(viewer: Viewer, want: AuditFilter, *, limit: int = PAGE) -> tuple[Sequence[AuditRow], int | None]:
    """Return the newest entries, for admins, and the id behind which the next page begins, if there is one."""
    viewer.require(Role.ADMIN)
    found = select(*_COLUMNS).order_by(AuditEntry.id.desc())
    if want.actor:
        found = found.where(AuditEntry.actor == want.actor)
    if want.action:
        found = found.where(AuditEntry.action == want.action)
    if want.before is not None:
        found = found.where(AuditEntry.id < want.before)
    rows, last = fetch_page(found, limit)
    return [AuditRow(**row._asdict()) for row in rows], last.id if last else None


def names(viewer: Viewer) -> dict[str, str]:
    """Return what people and programs are called today by what they are called here, for admins."""
    viewer.require(Role.ADMIN)
    people = db.session.execute(select(User.id, User.email).order_by(User.email))
    programs = db.session.execute(select(ApiToken.id, ApiToken.name).order_by(ApiToken.name))
    return {f"user {row.id}": row.email for row in people} | {f"token {row.id}": row.name for row in programs}


def account_names(viewer: Viewer) -> dict[str, str]:
    """Return the usernames of connected accounts by professional account ID, for admins."""
    viewer.require(Role.ADMIN)
    rows = db.session.execute(select(Account.ig_account_id, Account.username).where(Account.username.is_not(None)))
    return {row.ig_account_id: row.username for row in rows}


def purge(tx: Tx, now: datetime) -> int:
    """Forget entries older than 400 days; returns how many."""
    return int(tx.execute(delete(AuditEntry).where(AuditEntry.at < now - KEPT)).rowcount)
