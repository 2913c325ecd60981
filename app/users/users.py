"""Who may sign in: adding people, their passwords and rights, switching them off and on.

Every change ends the sessions of whom it is about. The only writer of users, but for sign-ins.
"""

import re
import secrets
import string
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.exc import IntegrityError

from app import audit, clock, text
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, Invalid, NotFound
from app.models.user import Action, User
from app.users import passwords
from app.viewer import OPERATOR, Role, Viewer

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
class StaffUser:
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


def add_user(
    viewer: Viewer, email: str, *, role: Role, password: str, account_ids: Collection[int] | None = None
) -> StaffUser:
    """Let someone sign in from now on, limited to `account_ids` unless None.

    Raises Invalid for a malformed or known address, a weak password, and for an admin who is to be limited.
    """
    viewer.require(Role.ADMIN)
    address = _address(email)
    limited = _limited(role, account_ids)
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    try:
        with transaction.write() as tx:
            person_id = _insert(tx, address, role, password_hash, limited)
            audit.note(tx, viewer, Action.USER_ADDED, f"user {person_id}")
    except IntegrityError:
        raise Invalid({"email": f"{address} may sign in already."}) from None
    return by_email(viewer, address)


def list_users(viewer: Viewer) -> list[StaffUser]:
    """Return everyone who may or might sign in, by address."""
    viewer.require(Role.ADMIN)
    return [from_row(row) for row in db.session.execute(select(*COLUMNS).order_by(User.email))]


def by_email(viewer: Viewer, email: str) -> StaffUser:
    """Return one person; raises NotFound."""
    return _one(viewer, User.email == normalize_email(email))


def by_id(viewer: Viewer, person_id: int) -> StaffUser:
    """Return one person; raises NotFound."""
    return _one(viewer, User.id == person_id)


def change_password(viewer: Viewer, email: str, *, password: str) -> None:
    """Set a new password; raises NotFound and Invalid."""
    someone = by_email(viewer, email)
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    with transaction.write() as tx:
        _change(tx, viewer, someone.id, Action.PASSWORD_CHANGED, password_hash=password_hash)


def change_own_password(viewer: Viewer, *, present: str, password: str) -> None:
    """Set one's own password; raises Invalid when `present` is not right."""
    own_hash = db.session.execute(select(User.password_hash).where(User.id == viewer.user_id)).scalar_one()
    db.session.rollback()  # hashing takes long; no snapshot is kept open over it
    if not passwords.verify(present, own_hash):
        raise Invalid({"present": "That is not your present password."})
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    with transaction.write() as tx:
        _change(tx, viewer, viewer.user_id, Action.PASSWORD_CHANGED, password_hash=password_hash)


def change_access(viewer: Viewer, email: str, *, role: Role, account_ids: Collection[int] | None = None) -> None:
    """Set someone's role, and the accounts they are limited to unless None.

    Raises NotFound, Conflict for the last admin, and Invalid for an admin who is to be limited.
    """
    someone = by_email(viewer, email)
    limited = _limited(role, account_ids)
    with transaction.write() as tx:
        if role is not Role.ADMIN:
            _require_another_admin(tx, someone)
        _change(tx, viewer, someone.id, Action.USER_CHANGED, role=role, account_ids=limited)


def disable(viewer: Viewer, email: str) -> None:
    """Disable a user's sign-in; raises NotFound, Conflict for the last admin and for the viewer."""
    someone = by_email(viewer, email)
    if someone.id == viewer.user_id:
        raise Conflict("You cannot disable yourself. Ask another admin.")
    with transaction.write() as tx:
        _require_another_admin(tx, someone)
        _change(tx, viewer, someone.id, Action.USER_DISABLED, disabled_at=clock.now())


def enable(viewer: Viewer, email: str) -> None:
    """Let someone sign in again who was disabled; raises NotFound."""
    someone = by_email(viewer, email)
    with transaction.write() as tx:
        _change(tx, viewer, someone.id, Action.USER_ENABLED, disabled_at=None)


def sign_out(viewer: Viewer) -> None:
    """End every session of whoever asks, on every device."""
    with transaction.write() as tx:
        _change(tx, viewer, viewer.user_id, Action.SIGNED_OUT)


def first_admin() -> tuple[str, str] | None:
    """Add an admin with a random password where nobody may sign in yet; returns address and password, or None."""
    if db.session.execute(select(User.id).limit(1)).first() is not None:
        return None
    password = passwords.generate()
    password_hash = passwords.hash_password(password)
    try:
        with transaction.write() as tx:
            if tx.execute(select(User.id).limit(1)).first() is not None:
                return None
            person_id = _insert(tx, FIRST_ADMIN, Role.ADMIN, password_hash)
            audit.note(tx, OPERATOR, Action.USER_ADDED, f"user {person_id}")
    except IntegrityError:
        return None  # another process was first
    return FIRST_ADMIN, password


def normalize_email(email: str) -> str:
    """Return an email address as it is stored: without spaces around it, ASCII letters in lower case.

    Other letters stay: Unicode's lower case of the Kelvin sign is an ASCII k, so another user's address would match.
    """
    return text.storable(email).strip(string.whitespace).encode().lower().decode()  # bytes.lower() is ASCII only


def from_row(row: Row[*tuple[Any, ...]]) -> StaffUser:
    """Return the person that a row of COLUMNS describes."""
    account_ids = None if row.account_ids is None else frozenset(row.account_ids)
    return StaffUser(**{**row._asdict(), "account_ids": account_ids})


def _one(viewer: Viewer, which: ColumnElement[bool]) -> StaffUser:
    viewer.require(Role.ADMIN)
    row = db.session.execute(select(*COLUMNS).where(which)).first()
    if row is None:
        raise NotFound("user")
    return from_row(row)


def _address(email: str) -> str:
    address = normalize_email(email)
    if not EMAIL.fullmatch(address):
        raise Invalid({"email": "The email address must look like name@example.com, in ASCII letters."})
    return address


def _limited(role: Role, account_ids: Collection[int] | None) -> list[int] | None:
    if account_ids is not None and role is Role.ADMIN:
        raise Invalid({"accounts": "An admin sees every account; choose another role, or no accounts."})
    return None if account_ids is None else sorted(account_ids)


def _require_another_admin(tx: Tx, someone: StaffUser) -> None:
    # The rows stay locked until the commit: of two admins who disable each other, the second sees what the first did.
    admins = select(User.id).where(User.role == Role.ADMIN, User.disabled_at.is_(None)).order_by(User.id)
    enabled = set(tx.execute(admins.with_for_update()).scalars())
    if someone.id in enabled and enabled == {someone.id}:
        raise Conflict("This is the last admin; add another one first.")


def _insert(tx: Tx, address: str, role: Role, password_hash: str, account_ids: list[int] | None = None) -> int:
    known = {"email": address, "name": address.partition("@")[0], "role": role, "account_ids": account_ids}
    fresh = {"password_hash": password_hash, "session_key": _session_key(), "created_at": clock.now()}
    return int(tx.execute(tx.insert(User).values(**known, **fresh).returning(User.id)).scalar_one())


def _change(tx: Tx, viewer: Viewer, person_id: int | None, action: Action, **values: object) -> None:
    tx.execute(update(User).where(User.id == person_id).values(session_key=_session_key(), **values))
    audit.note(tx, viewer, action, f"user {person_id}")


def _session_key() -> str:
    return secrets.token_urlsafe(32)
