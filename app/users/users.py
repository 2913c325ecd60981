"""Users: add, change, disable and enable them, and set their passwords.

Every change ends the sessions of the user. The only writer of `users`, except for sign-in times (sign_in.py).
"""

import re
import secrets
import string
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError

from app import audit, clock, text
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, Invalid, NotFound
from app.models.account import Account
from app.models.audit import Action
from app.models.user import User
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
    """A user who may sign in. Sessions carry `session_key`, so changing it ends them all. Times are aware UTC."""

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
        return f"StaffUser({self.id})"

    def viewer(self) -> Viewer:
        """Return the viewer with this user's role and account access."""
        return Viewer(self.id, self.email, self.role, self.account_ids)


def add_user(
    viewer: Viewer, email: str, *, role: Role, password: str, account_ids: Collection[int] | None = None
) -> StaffUser:
    """Add a user with access to `account_ids`, None for all; for admins.

    Raises Invalid for a malformed or existing email address, a weak password, or an admin with limited access.
    """
    viewer.require(Role.ADMIN)
    address = _valid_email(email)
    limited = _account_access(role, account_ids)
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    try:
        with transaction.write() as tx:
            user_id = _insert(tx, address, role, password_hash, limited)
            audit.note(tx, viewer, Action.USER_ADDED, f"user {user_id}")
    except IntegrityError:
        raise Invalid({"email": "A user with this email address already exists."}) from None
    return by_email(viewer, address)


def list_users(viewer: Viewer) -> list[StaffUser]:
    """Return all users, also disabled ones, sorted by email address; for admins."""
    viewer.require(Role.ADMIN)
    return [from_row(row) for row in db.session.execute(select(*COLUMNS).order_by(User.email))]


def by_email(viewer: Viewer, email: str) -> StaffUser:
    """Return the user with this email address, for admins; raises NotFound."""
    return _one(viewer, User.email == normalize_email(email))


def by_id(viewer: Viewer, user_id: int) -> StaffUser:
    """Return one user, for admins; raises NotFound."""
    return _one(viewer, User.id == user_id)


def change_password(viewer: Viewer, email: str, *, password: str) -> None:
    """Set the password of a user, for admins; raises NotFound and Invalid."""
    user = by_email(viewer, email)
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    with transaction.write() as tx:
        _change(tx, viewer, user.id, Action.PASSWORD_CHANGED, password_hash=password_hash)


def change_own_password(viewer: Viewer, *, present: str, password: str) -> None:
    """Set the viewer's own password; raises Invalid when `present` is incorrect or `password` is weak."""
    own_hash = db.session.execute(select(User.password_hash).where(User.id == viewer.user_id)).scalar_one()
    db.session.rollback()  # hashing takes long: hold no snapshot meanwhile
    if not passwords.verify(present, own_hash):
        raise Invalid({"present": "The current password is incorrect."})
    passwords.require_good(password)
    password_hash = passwords.hash_password(password)
    with transaction.write() as tx:
        _change(tx, viewer, viewer.user_id, Action.PASSWORD_CHANGED, password_hash=password_hash)


def change_access(viewer: Viewer, email: str, *, role: Role, account_ids: Collection[int] | None = None) -> None:
    """Set a user's role and account access (None for all accounts); for admins.

    Raises NotFound, Conflict for the last admin, and Invalid for an admin with limited access.
    """
    user = by_email(viewer, email)
    limited = _account_access(role, account_ids)
    with transaction.write() as tx:
        if role is not Role.ADMIN:
            _require_another_admin(tx, user)
        before, after = _access(tx, user.role, user.account_ids), _access(tx, role, limited)
        change = f"{before} → {after}" if before != after else None
        _change(tx, viewer, user.id, Action.USER_CHANGED, detail=change, role=role, account_ids=limited)


def disable(viewer: Viewer, email: str) -> None:
    """Disable a user's sign-in; raises NotFound, Conflict for the last admin and for the viewer."""
    user = by_email(viewer, email)
    if user.id == viewer.user_id:
        raise Conflict("You cannot disable yourself. Ask another admin.")
    with transaction.write() as tx:
        _require_another_admin(tx, user)
        _change(tx, viewer, user.id, Action.USER_DISABLED, disabled_at=clock.now())


def enable(viewer: Viewer, email: str) -> None:
    """Let a disabled user sign in again, for admins; raises NotFound."""
    user = by_email(viewer, email)
    with transaction.write() as tx:
        _change(tx, viewer, user.id, Action.USER_ENABLED, disabled_at=None)


def sign_out(viewer: Viewer) -> None:
    """End all sessions of the viewer, on every device."""
    with transaction.write() as tx:
        _change(tx, viewer, viewer.user_id, Action.SIGNED_OUT)


def first_admin() -> tuple[str, str] | None:
    """Add the first admin with a random password. Return email address and password, None if there is a user."""
    if db.session.execute(select(User.id).limit(1)).first() is not None:
        return None
    password = passwords.generate()
    password_hash = passwords.hash_password(password)
    try:
        with transaction.write() as tx:
            if tx.execute(select(User.id).limit(1)).first() is not None:
                return None
            user_id = _insert(tx, FIRST_ADMIN, Role.ADMIN, password_hash)
            audit.note(tx, OPERATOR, Action.USER_ADDED, f"user {user_id}")
    except IntegrityError:
        return None  # another process was first
    return FIRST_ADMIN, password


def normalize_email(email: str) -> str:
    """Return an email address as it is stored: without surrounding spaces, ASCII letters in lower case.

    Other letters stay: Unicode's lower case of the Kelvin sign is an ASCII k, so another user's address would match.
    """
    return text.storable(email).strip(string.whitespace).encode().lower().decode()  # bytes.lower() is ASCII only


def from_row(row: Any) -> StaffUser:
    """Return the user of a row that begins with COLUMNS."""
    account_ids = None if row.account_ids is None else frozenset(row.account_ids)
    values = {column.key: getattr(row, column.key) for column in COLUMNS}
    return StaffUser(**{**values, "account_ids": account_ids})


def _one(viewer: Viewer, which: ColumnElement[bool]) -> StaffUser:
    viewer.require(Role.ADMIN)
    row = db.session.execute(select(*COLUMNS).where(which)).first()
    if row is None:
        raise NotFound("user")
    return from_row(row)


def _valid_email(email: str) -> str:
    address = normalize_email(email)
    if not EMAIL.fullmatch(address):
        raise Invalid({"email": "The email address must look like name@example.com, in ASCII letters."})
    return address


def _account_access(role: Role, account_ids: Collection[int] | None) -> list[int] | None:
    if account_ids is not None and role is Role.ADMIN:
        raise Invalid(
            {"accounts": "Admins always have access to all accounts. Choose another role or select all accounts."}
        )
    return None if account_ids is None else sorted(account_ids)


def _require_another_admin(tx: Tx, user: StaffUser) -> None:
    # Locked until the commit: of two admins who disable each other, the second sees the change of the first.
    admins = select(User.id).where(User.role == Role.ADMIN, User.disabled_at.is_(None)).order_by(User.id)
    enabled = set(tx.execute(admins.with_for_update()).scalars())
    if user.id in enabled and enabled == {user.id}:
        raise Conflict("You can't remove the last admin. Add another admin first.")


def _insert(tx: Tx, address: str, role: Role, password_hash: str, account_ids: list[int] | None = None) -> int:
    known = {"email": address, "name": address.partition("@")[0], "role": role, "account_ids": account_ids}
    fresh = {"password_hash": password_hash, "session_key": _session_key(), "created_at": clock.now()}
    return int(tx.execute(tx.insert(User).values(**known, **fresh).returning(User.id)).scalar_one())


def _change(
    tx: Tx, viewer: Viewer, user_id: int | None, action: Action, *, detail: str | None = None, **values: object
) -> None:
    tx.execute(update(User).where(User.id == user_id).values(session_key=_session_key(), **values))
    audit.note(tx, viewer, action, f"user {user_id}", detail=detail)


def _access(tx: Tx, role: Role, account_ids: Collection[int] | None) -> str:
    """Return a role and the professional IDs of its accounts for the audit log: "agent, 17841400000000101"."""
    if account_ids is None:
        return f"{role}, all accounts"
    found = select(Account.ig_account_id).where(Account.id.in_(account_ids)).order_by(Account.ig_account_id)
    return f"{role}, {', '.join(tx.execute(found).scalars()) or 'no accounts'}"


def _session_key() -> str:
    return secrets.token_urlsafe(32)
