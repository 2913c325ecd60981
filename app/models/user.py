"""Tables of people who sign in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Id, IgId, UTCDateTime, Word
from app.viewer import Role


class Action(StrEnum):
    """What the audit log knows of, as people read it."""

    SIGNED_IN = "signed in"
    SIGN_IN_FAILED = "failed to sign in"
    SIGN_IN_THROTTLED = "was kept waiting"
    SESSION_ENDED = "signed out"
    SIGNED_OUT = "signed out everywhere"
    PASSWORD_CHANGED = "changed a password"
    USER_ADDED = "added a person"
    USER_CHANGED = "changed a person's rights"
    USER_DISABLED = "disabled a person"
    USER_ENABLED = "enabled a person"
    TOKEN_CREATED = "created a token"
    TOKEN_REVOKED = "revoked a token"
    TOKEN_USED = "used a token from a new address"
    TOKEN_REFUSED = "sent a refused API token"
    ACCESS_REFUSED = "was refused access"
    DATA_NOT_VISIBLE = "requested data not visible"
    JOB_STARTED = "started a job"
    JOB_CANCELED = "canceled a job"
    JOB_RETRIED = "retried a job"
    IDENTITY_REFRESHED = "had a person looked up"
    IDENTITIES_EXPORTED = "exported identities"
    PERSON_DELETED = "deleted a person's data"
    ACCOUNT_CONNECTED = "connected an account"
    ACCOUNT_REMOVED = "removed an account"
    ACCOUNT_WITHDRAWN = "withdrew access to an account"
    ACCOUNT_DELETION_ASKED = "asked to delete an account"
    OWNER_REQUEST_ASSIGNED = "assigned an owner's request"
    OWNER_REQUEST_CLOSED = "closed an owner's request"
    LETTER_REPLAYED = "replayed a dead letter"
    LETTER_DISCARDED = "discarded a dead letter"
    QUEUE_CHANGED = "changed a queue by hand"
    KEYS_ROTATED = "rotated keys"


class User(Model):
    """Someone who signs in; `session_key` changes when every session of theirs must end."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[Role] = mapped_column(Word(Role))
    account_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    password_hash: Mapped[str] = mapped_column(Text)
    session_key: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class EndedSession(Model):
    """A session that its user signed out of, by the ID in its cookie; kept while such a cookie could be valid."""

    __tablename__ = "ended_sessions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class ApiToken(Model):
    """A program's token, of which only the digest is kept; `account_ids` None means every account."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    account_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AuditEntry(Model):
    """One thing that somebody did; nothing in it points to a row, since it outlives what it tells of."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_actor_id", "actor", "id"), Index("ix_audit_log_action_id", "action", "id"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    actor: Mapped[str] = mapped_column(String(32))
    action: Mapped[Action] = mapped_column(Word(Action))
    subject: Mapped[str | None] = mapped_column(String(80))
    ig_account_id: Mapped[str | None] = mapped_column(IgId)
    address: Mapped[str | None] = mapped_column(String(45))
    route: Mapped[str | None] = mapped_column(String(120))
