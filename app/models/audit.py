"""The audit log."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, UTCDateTime


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
    JOB_PAUSED = "job_paused"
    JOB_RESUMED = "job_resumed"
    IDENTITY_REFRESHED = "identity_refreshed"
    IDENTITIES_EXPORTED = "identities_exported"
    CONTACT_EXPORTED = "contact_exported"
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
    SCHEDULE_RUN = "schedule_run"
    SCHEDULE_OFF = "schedule_off"
    SCHEDULE_ON = "schedule_on"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERTS_MUTED = "alerts_muted"
    ALERTS_UNMUTED = "alerts_unmuted"
    RECEIVER_ADDED = "alert_receiver_added"
    RECEIVER_CHANGED = "alert_receiver_changed"
    RECEIVER_TESTED = "alert_receiver_tested"
    RECEIVER_ENABLED = "alert_receiver_enabled"
    SECRET_ROTATED = "alert_receiver_secret_rotated"
    RECEIVER_REMOVED = "alert_receiver_removed"
    KEYS_ROTATED = "keys_rotated"


class AuditEntry(Model):
    """One action. It refers to no row, because it outlives what it describes."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_actor_id", "actor", "id"),
        Index("ix_audit_log_action_id", "action", "id"),
        Index("ix_audit_log_subject_id", "subject", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    actor: Mapped[str] = mapped_column(String(32))
    action: Mapped[Action] = mapped_column(EnumText(Action))
    subject: Mapped[str | None] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(200))
    ig_account_id: Mapped[str | None] = mapped_column(IgId)
    address: Mapped[str | None] = mapped_column(String(45))
    route: Mapped[str | None] = mapped_column(String(120))
