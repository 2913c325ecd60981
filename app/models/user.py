"""Tables of people who sign in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Id, IgId, UTCDateTime, Word
from app.viewer import Role


class Action(StrEnum):
    """What the audit log records, as stored; app/labels.py has the labels."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_THROTTLED = "sign_in_throttled"
    SESSION_ENDED = "signed_out"
    SIGNED_OUT = "signed_out_everywhere"
    PASSWORD_CHANGED = "password_changed"
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    TOKEN_CREATED = "api_token_created"
    TOKEN_REVOKED = "api_token_revoked"
    TOKEN_USED = "api_token_used"
    TOKEN_REFUSED = "api_token_refused"
    ACCESS_REFUSED = "access_refused"
    DATA_NOT_VISIBLE = "data_not_visible"
    JOB_STARTED = "job_started"
    JOB_CANCELED = "job_canceled"
    JOB_RETRIED = "job_retried"
    IDENTITY_REFRESHED = "identity_refreshed"
    IDENTITIES_EXPORTED = "identities_exported"
    PERSON_DELETED = "contact_deleted"
    ACCOUNT_CONNECTED = "account_connected"
    ACCOUNT_REMOVED = "account_removed"
    ACCOUNT_WITHDRAWN = "app_deauthorized"
    ACCOUNT_DELETION_ASKED = "deletion_requested"
    OWNER_REQUEST_ASSIGNED = "owner_request_assigned"
    OWNER_REQUEST_CLOSED = "owner_request_closed"
    LETTER_REPLAYED = "dead_letter_replayed"
    LETTER_DISCARDED = "dead_letter_discarded"
    QUEUE_CHANGED = "queue_changed"
    KEYS_ROTATED = "keys_rotated"


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
