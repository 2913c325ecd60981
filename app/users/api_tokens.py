"""API tokens: shown once, stored as a digest, each with scopes and account access."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.errors import Invalid, NotFound, Unavailable
from app.models.audit import Action
from app.models.user import ApiToken
from app.text import clean_name
from app.users import refusals
from app.viewer import STRANGER, Role, Viewer

PREFIX = "nametag_"  # lets secret scanners find a published token
TOKEN_BYTES = 32
NOTED = timedelta(minutes=1)  # precision of last_used_at
REMEMBERED = 10_000

_seen: set[tuple[bytes, str]] = set()  # tokens and IP addresses whose use is in the audit log, as this process knows


class TokenScope(StrEnum):
    """What an API token may do.

    Read; start jobs and refresh contacts; export and delete a contact's data; manage alert receivers.
    """

    READ = "read"
    JOBS = "jobs"
    PRIVACY = "privacy"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret. Times are aware UTC; `account_ids` None means all accounts."""

    id: int
    name: str
    scopes: tuple[TokenScope, ...]
    account_ids: tuple[int, ...] | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def viewer(self) -> Viewer:
        """Return the viewer of requests with this token."""
        role = Role.OPS if TokenScope.JOBS in self.scopes else Role.AGENT
        if not {TokenScope.PRIVACY, TokenScope.ADMIN}.isdisjoint(self.scopes):
            role = Role.ADMIN
        account_ids = None if self.account_ids is None else frozenset(self.account_ids)
        return Viewer(user_id=None, name=f"token {self.name}", role=role, account_ids=account_ids, token_id=self.id)


def create(viewer: Viewer, name: str, scopes: Sequence[str], account_ids: Sequence[int] | None = None) -> str:
    """Create an API token, for admins, and return its secret, which cannot be shown again.

    Raises Invalid for an empty or existing name, and for unknown or no scopes.
    """
    viewer.require(Role.ADMIN)
    if not scopes or not set(scopes) <= set(TokenScope):
        raise Invalid({"scopes": f"The scopes must be one or more of {', '.join(TokenScope)}, separated by commas."})
    cleaned = clean_name(name)
    if cleaned is None:
        raise Invalid({"name": "Enter a name for the token."})
    secret = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    values = {"name": cleaned, "digest": _digest(secret), "scopes": sorted(set(scopes)), "created_at": clock.now()}
    try:
        with transaction.write() as tx:
            made = tx.insert(ApiToken).values(account_ids=account_ids and list(account_ids), **values)
            token_id = tx.execute(made.returning(ApiToken.id)).scalar_one()
            audit.note(tx, viewer, Action.TOKEN_CREATED, f"token {token_id}")
    except IntegrityError:
        raise Invalid({"name": "A token with this name already exists."}) from None
    return secret


def list_tokens(viewer: Viewer) -> list[Token]:
    """Return every API token, sorted by name; for admins."""
    viewer.require(Role.ADMIN)
    return [_token(row) for row in db.session.scalars(select(ApiToken).order_by(ApiToken.name))]


def revoke(viewer: Viewer, name: str) -> None:
    """Revoke an API token from the next request on, for admins; raises NotFound."""
    viewer.require(Role.ADMIN)
    with transaction.write() as tx:
        found = update(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None))
        revoked = tx.execute(found.values(revoked_at=clock.now()).returning(ApiToken.id)).scalar()
        if revoked is None:
            raise NotFound("token")
        audit.note(tx, viewer, Action.TOKEN_REVOKED, f"token {revoked}")


def authenticate(secret: str, *, address: str = "", route: str | None = None) -> Token | None:
    """Return the API token with this secret, None if it is unknown or revoked. Record its use or refusal.

    `address` is the IP address of the client.
    """
    digest = _digest(secret)
    row = db.session.scalars(select(ApiToken).where(ApiToken.digest == digest)).one_or_none()
    if row is None or row.revoked_at is not None:
        subject = f"token {row.id}" if row else None
        refusals.record(STRANGER, Action.TOKEN_REFUSED, subject, address=address, route=route)
        return None
    token = _token(row)
    noted = token.last_used_at is not None and token.last_used_at > clock.now() - NOTED
    if not noted or (digest, address) not in _seen:
        try:
            _note_use(token, address)
            _remember(digest, address)
        except Unavailable:
            return token  # reading continues while the database cannot be written
    return token


def _note_use(token: Token, address: str) -> None:
    viewer = token.viewer()
    with transaction.write() as tx:
        tx.execute(update(ApiToken).where(ApiToken.id == token.id).values(last_used_at=clock.now()))
        if not audit.is_recorded(tx, viewer, Action.TOKEN_USED, address=address):
            audit.note(tx, viewer, Action.TOKEN_USED, f"token {token.id}", address=address)


def _remember(digest: bytes, address: str) -> None:
    if len(_seen) >= REMEMBERED:
        _seen.clear()
    _seen.add((digest, address))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _token(row: ApiToken) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(TokenScope(scope) for scope in row.scopes if scope in set(TokenScope)),
        account_ids=None if row.account_ids is None else tuple(row.account_ids),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
