"""Who may sign in: adding people, their passwords, switching them off. The only writer of users, but for sign-ins."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.exc import IntegrityError

from app import clock, text
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, Invalid, NotFound
from app.models.user import User
from app.users import passwords
from app.viewer import Role, Viewer

FIRST_ADMIN = "admin@nametag.local"
EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}", re.ASCII)

COLUMNS = (
    User.id,
    User.email,
    User.name,
    User.role,
    User.account_ids,
    User.session_key,
    User.created_at,
    User.last_sign_in_at,
    User.disabled_at,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who may sign in; `session_key` is what their sessions carry, so that changing it ends them all."""

    id: int
    email: str
    name: str
    role: Role
    account_ids: frozenset[int] | None
    session_key: str
    created_at: datetime
    last_sign_in_at: datetime | None
    disabled_at: datetime | None

    def __repr__(self) -> str:
        return f"Person({self.id})"

    def viewer(self) -> Viewer:
        """Return what this person may see and do."""
        return Viewer(self.id, self.email, self.role, self.account_ids)


def add(viewer: Viewer, email: str, *, role: Role, password: str) -> Person:
    """Let someone sign in from now on; raises Invalid for a malformed or known address or a weak password."""
    viewer.require(Role.ADMIN)
    address = _address(email)
    passwords.require_good(password)
    password_hash = passwords.hashed(password)
    try:
        with transaction.write() as tx:
            _insert(tx, address, role, password_hash)
    except IntegrityError:
        raise Invalid({"email": f"{address} may sign in already."}) from None
    return by_email(viewer, address)


def everyone(viewer: Viewer) -> list[Person]:
    """Return everyone who may or might sign in, by address."""
    viewer.require(Role.ADMIN)
    return [person(row) for row in db.session.execute(select(*COLUMNS).order_by(User.email))]


def by_email(viewer: Viewer, email: str) -> Person:
    """Return one person; raises NotFound."""
    viewer.require(Role.ADMIN)
    row = db.session.execute(select(*COLUMNS).where(User.email == normal(email))).first()
    if row is None:
        raise NotFound("user")
    return person(row)


def change_password(viewer: Viewer, email: str, *, password: str) -> None:
    """Set a new password and end every session of this person; raises NotFound and Invalid."""
    someone = by_email(viewer, email)
    passwords.require_good(password)
    password_hash = passwords.hashed(password)
    with transaction.write() as tx:
        _change(tx, someone.id, password_hash=password_hash)


def change_own_password(email: str, *, present: str, password: str) -> None:
    """Set somebody's own password and end every session of theirs; raises Invalid when `present` is not right."""
    row = db.session.execute(select(User.id, User.password_hash).where(User.email == normal(email))).one()
    db.session.rollback()  # hashing takes long; no snapshot is kept open over it
    if not passwords.fits(present, row.password_hash):
        raise Invalid({"present": "That is not your present password."})
    passwords.require_good(password)
    password_hash = passwords.hashed(password)
    with transaction.write() as tx:
        _change(tx, row.id, password_hash=password_hash)


def disable(viewer: Viewer, email: str) -> None:
    """Keep someone out from now on and end every session; raises NotFound, Conflict for the last admin."""
    someone = by_email(viewer, email)
    admins = select(func.count()).where(User.role == Role.ADMIN, User.disabled_at.is_(None), User.id != someone.id)
    with transaction.write() as tx:
        if someone.role is Role.ADMIN and not tx.execute(admins).scalar_one():
            raise Conflict("This is the last admin; add another one first.")
        _change(tx, someone.id, disabled_at=clock.now())


def end_sessions(person_id: int) -> None:
    """End every session of this person, on every device."""
    with transaction.write() as tx:
        _change(tx, person_id)


def first_admin() -> tuple[str, str] | None:
    """Add an admin with a random password where nobody may sign in yet; returns address and password, or None."""
    if db.session.execute(select(User.id).limit(1)).first() is not None:
        return None
    password = passwords.random()
    password_hash = passwords.hashed(password)
    try:
        with transaction.write() as tx:
            if tx.execute(select(User.id).limit(1)).first() is not None:
                return None
            _insert(tx, FIRST_ADMIN, Role.ADMIN, password_hash)
    except IntegrityError:
        return None  # another process was first
    return FIRST_ADMIN, password


def normal(email: str) -> str:
    """Return an address as it is stored: without spaces around it, in lower case."""
    return text.storable(email).strip().lower()


def person(row: Row[*tuple[Any, ...]]) -> Person:
    """Return the person that a row of COLUMNS describes."""
    account_ids = None if row.account_ids is None else frozenset(row.account_ids)
    return Person(**{**row._asdict(), "account_ids": account_ids})


def _address(email: str) -> str:
    address = normal(email)
    if not EMAIL.fullmatch(address):
        raise Invalid({"email": "The address should look like somebody@example.com."})
    return address


def _insert(tx: Tx, address: str, role: Role, password_hash: str) -> None:
    tx.session.add(
        User(
            email=address,
            name=address.partition("@")[0],
            role=role,
            password_hash=password_hash,
            session_key=_session_key(),
            created_at=clock.now(),
        )
    )
    tx.session.flush()


def _change(tx: Tx, person_id: int, **values: object) -> None:
    tx.execute(update(User).where(User.id == person_id).values(session_key=_session_key(), **values))


def _session_key() -> str:
    return secrets.token_urlsafe(32)
