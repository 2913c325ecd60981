"""Signing in and staying signed in: a name and a password, or the key that a session carries."""

import logging

from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.user import User
from app.users import passwords, people
from app.users.people import Person

logger = logging.getLogger(__name__)

_BY_KEY = select(*people.COLUMNS).where(User.disabled_at.is_(None))
_BY_EMAIL = select(*people.COLUMNS, User.password_hash)


def check(email: str, password: str) -> Person | None:
    """Return who signs in, or None; an unknown or disabled name costs exactly as much work as a wrong password.

    Raises Invalid for a password over 1,024 bytes, Unavailable when too many wait or the database is away.
    """
    row = db.session.execute(_BY_EMAIL.where(User.email == people.normal(email))).first()
    db.session.rollback()  # hashing takes long; no snapshot is kept open over it
    fits = passwords.fits(password, row.password_hash if row and row.disabled_at is None else None)
    if row is None or not fits:
        return None
    with transaction.write() as tx:
        tx.execute(update(User).where(User.id == row.id).values(last_sign_in_at=clock.now()))
    logger.info("somebody signed in", extra={"user": row.id})
    return by_session_key(row.session_key)


def by_session_key(session_key: str) -> Person | None:
    """Return whose session this is, or None when it has been ended; one indexed look-up."""
    row = db.session.execute(_BY_KEY.where(User.session_key == session_key)).first()
    return None if row is None else people.person(row)
