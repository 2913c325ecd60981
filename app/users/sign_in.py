"""Authenticate users: by email address and password, by single sign-on, by the key of a session."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, select, update

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.db.prepared import Prepared
from app.models.account import Account, AccountPicture, AccountState
from app.models.audit import Action
from app.models.user import User
from app.users import passwords, refusals, sessions, users
from app.users.users import StaffUser
from app.viewer import STRANGER, VisibleAccount

_ACCOUNT = (Account.id, Account.ig_account_id, Account.username, Account.state, AccountPicture.version)
# A row per account, so that every request reads user, end of the session and accounts in one statement.
_SESSION = Prepared(
    lambda _: (
        select(*users.COLUMNS, *(column.label(f"account_{column.key}") for column in _ACCOUNT))
        .select_from(User)
        .outerjoin(Account, Account.state != AccountState.DELETING)
        .outerjoin(AccountPicture, AccountPicture.account_id == Account.id)
        .where(User.session_key == bindparam("session_key"), User.disabled_at.is_(None), ~sessions.HAS_ENDED)
        .order_by(Account.id)
    )
)
_BY_EMAIL = select(*users.COLUMNS, User.password_hash)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not ended: its user, and the accounts that they may select, longest connected first."""

    user: StaffUser
    accounts: tuple[VisibleAccount, ...]


def authenticate(email: str, password: str, *, address: str = "", route: str | None = None) -> StaffUser | None:
    """Return the user with this email address and password, or None. `address` is the client's IP address.

    An unknown or disabled user takes as long as a wrong password. Raises Invalid for a password over 1,024 bytes,
    Unavailable when the queue of hashes is full or the database is unavailable.
    """
    row = db.session.execute(_BY_EMAIL.where(User.email == users.normalize_email(email))).first()
    db.session.rollback()  # hashing takes long: hold no snapshot meanwhile
    matches = passwords.verify(password, row.password_hash if row and row.disabled_at is None else None)
    if row is None or not matches:
        tried = f"user {row.id}" if row else None  # never what was typed: it may be a password
        refusals.record(STRANGER, Action.SIGN_IN_FAILED, tried, address=address, route=route)
        return None
    return _record_sign_in(row.session_key, address)


def sso_sign_in(email: str, *, address: str = "", route: str | None = None) -> StaffUser | None:
    """Return the user with this email address, which a trusted provider verified; None if unknown or disabled."""
    row = db.session.execute(_BY_EMAIL.where(User.email == users.normalize_email(email))).first()
    user = _record_sign_in(row.session_key, address) if row else None
    if user is None:
        subject = f"user {row.id}" if row else None
        refusals.record(STRANGER, Action.SIGN_IN_FAILED, subject, address=address, route=route)
    return user


def record_throttled(address: str, route: str | None = None) -> None:
    """Record that a visitor at this IP address must wait before the next try."""
    refusals.record(STRANGER, Action.SIGN_IN_THROTTLED, address=address, route=route)


def by_session_key(session_key: str, session_id: str = "") -> StaffUser | None:
    """Return the user of a session, or None after it has ended."""
    found = find_session(session_key, session_id)
    return None if found is None else found.user


def find_session(session_key: str, session_id: str = "") -> OpenSession | None:
    """Return the session with this user's key and this ID, or None after it has ended; in one statement."""
    rows = _SESSION.read(session_key=session_key, session_id=session_id)
    if not rows:
        return None
    user = users.from_row(rows[0])
    viewer = user.viewer()
    known = (_account(row) for row in rows if row.account_id is not None)
    return OpenSession(user, tuple(account for account in known if viewer.sees(account.id)))


def _account(row: Any) -> VisibleAccount:
    name = row.account_username or row.account_ig_account_id
    reconnect = row.account_state is AccountState.RECONNECT
    return VisibleAccount(row.account_id, row.account_ig_account_id, name, reconnect, row.account_version)


def _record_sign_in(session_key: str, address: str) -> StaffUser | None:
    user, now = by_session_key(session_key), clock.now()
    if user is None:
        return None  # disabled while the password was verified
    with transaction.write() as tx:
        tx.execute(update(User).where(User.id == user.id).values(last_sign_in_at=now))
        audit.note(tx, user.viewer(), Action.SIGNED_IN, address=address)
    return replace(user, last_sign_in_at=now)
