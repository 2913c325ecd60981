"""Signing in and staying signed in: a name and a password, or the key that a session carries."""

from dataclasses import replace

from sqlalchemy import select, update

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.models.user import Action, User
from app.users import passwords, refusals, sessions, users
from app.users.users import StaffUser
from app.viewer import STRANGER

_BY_KEY = select(*users.COLUMNS).where(User.disabled_at.is_(None), ~sessions.HAS_ENDED)
_BY_EMAIL = select(*users.COLUMNS, User.password_hash)


def authenticate(email: str, password: str, *, address: str = "", route: str | None = None) -> StaffUser | None:
    """Return who signs in from `address`, or None; an unknown or disabled name costs as much as a wrong password.

    Raises Invalid for a password over 1,024 bytes, Unavailable when too many wait or the database is away.
    """
    row = db.session.execute(_BY_EMAIL.where(User.email == users.normalize_email(email))).first()
    db.session.rollback()  # hashing takes long; no snapshot is kept open over it
    fits = passwords.verify(password, row.password_hash if row and row.disabled_at is None else None)
    if row is None or not fits:
        tried = f"user {row.id}" if row else None  # what else was typed may be anything, a password for instance
        refusals.record(STRANGER, Action.SIGN_IN_FAILED, tried, address=address, route=route)
        return None
    return _entered(row.session_key, address)


def sso_sign_in(email: str, *, address: str = "", route: str | None = None) -> StaffUser | None:
    """Return the user with this email address, which a trusted provider verified; None if unknown or disabled."""
    row = db.session.execute(_BY_EMAIL.where(User.email == users.normalize_email(email))).first()
    person = _entered(row.session_key, address) if row else None
    if person is None:
        subject = f"user {row.id}" if row else None
        refusals.record(STRANGER, Action.SIGN_IN_FAILED, subject, address=address, route=route)
    return person


def record_throttled(address: str, route: str | None = None) -> None:
    """Record that a visitor at this IP address must wait before the next try."""
    refusals.record(STRANGER, Action.SIGN_IN_THROTTLED, address=address, route=route)


def by_session_key(session_key: str, session_id: str = "") -> StaffUser | None:
    """Return the user of a session, or None after it has ended; two index lookups in one statement."""
    row = db.session.execute(_BY_KEY.where(User.session_key == session_key), {"session_id": session_id}).first()
    return None if row is None else users.from_row(row)


def _entered(session_key: str, address: str) -> StaffUser | None:
    someone, now = by_session_key(session_key), clock.now()
    if someone is None:
        return None  # disabled, perhaps while the password was compared
    with transaction.write() as tx:
        tx.execute(update(User).where(User.id == someone.id).values(last_sign_in_at=now))
        audit.note(tx, someone.viewer(), Action.SIGNED_IN, address=address)
    return replace(someone, last_sign_in_at=now)
