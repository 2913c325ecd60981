"""Tables of alerts."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, UTCDateTime
from app.models.process import Level


class AlertKind(StrEnum):
    """What an alert is about, as stored; app/labels.py has the labels."""

    WORKER_MISSING = "worker_missing"
    REDIS_UNUSABLE = "redis_unusable"
    DISK_FULL = "disk_full"
    TOKEN_EXPIRING = "token_expiring"  # noqa: S105 - a kind
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a kind
    PERMISSION_MISSING = "permission_missing"
    SUBSCRIPTION_MISSING = "subscription_missing"
    SILENT = "silent"
    LOOKUPS_REFUSED = "lookups_refused"
    CALLS_PAUSED = "calls_paused"
    LOOKUPS_WAITING = "lookups_waiting"
    DEAD_LETTERS = "dead_letters"
    OWNER_REQUESTS = "owner_requests"
    JOB_FAILED = "job_failed"
    SLO_MISSED = "slo_missed"
    REASONS_MOVED = "reasons_moved"
    HEALTH_CHECK = "health_check"


class Alert(Model):
    """A problem of an account, or of the installation: open until `recovered_at`.

    `open_key` is set while it is open, so that a second one of the same kind and account cannot be opened. It was
    first found at `opened_at`, and without interruption since `since`. `times` counts how often it was opened within
    FLAPPING of its recovery. `reported_open`: receivers were last informed that it is open.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open_key", "open_key", unique=True),
        Index("ix_alerts_recovered_at", "recovered_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[AlertKind] = mapped_column(EnumText(AlertKind))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    open_key: Mapped[str | None] = mapped_column(String(64))
    level: Mapped[Level] = mapped_column(EnumText(Level))
    text: Mapped[str] = mapped_column(Text)
    fix: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    recovered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    times: Mapped[int] = mapped_column(default=1, server_default="1")
    reported_open: Mapped[bool] = mapped_column(default=False, server_default=false())
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(120))
