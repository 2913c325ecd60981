"""Tables of alerts."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, Secret, SecretText, UTCDateTime
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
    GAP_FOUND = "gap_found"
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


class AlertEvent(StrEnum):
    """What an alert receiver can be sent; the `type` of the payload."""

    OPENED = "alert.opened"
    RECOVERED = "alert.recovered"
    JOB_FINISHED = "job.finished"
    JOB_PAUSED = "job.paused"
    TEST = "receiver.test"


class ReceiverKind(StrEnum):
    """Where an alert receiver is reached."""

    URL = "url"
    EMAIL = "email"


class DeliveryState(StrEnum):
    """The state of an alert delivery. OBSOLETE: the alert recovered before it was sent."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    OBSOLETE = "obsolete"


class AlertReceiver(Model):
    """A URL or an email address that alerts are sent to. `secret` signs what a URL is sent.

    After a rotation, `old_secret` signs it, too, until `old_secret_until`.

    `account_ids` None means all accounts and the installation. Between `quiet_from` and `quiet_until`, minutes after
    midnight in `zone`, nothing is sent. `disabled_at`: switched off, because the URL answered 410.
    """

    __tablename__ = "alert_receivers"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[ReceiverKind] = mapped_column(EnumText(ReceiverKind))
    address: Mapped[str] = mapped_column(String(500))
    secret: Mapped[Secret | None] = mapped_column(SecretText)
    old_secret: Mapped[Secret | None] = mapped_column(SecretText)
    old_secret_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    events: Mapped[list[str]] = mapped_column(JSON)
    account_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    quiet_from: Mapped[int | None]
    quiet_until: Mapped[int | None]
    zone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AlertDelivery(Model):
    """One event for one alert receiver, and its attempts. `key` names the event, so that it is sent once.

    `message_id` and `payload` are the same in all attempts.
    """

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        UniqueConstraint("receiver_id", "key"),
        Index("ix_alert_deliveries_next_try_at", "next_try_at"),
        Index("ix_alert_deliveries_alert_id", "alert_id"),
        Index("ix_alert_deliveries_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    receiver_id: Mapped[int] = mapped_column(ForeignKey("alert_receivers.id", ondelete="CASCADE"))
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[AlertEvent] = mapped_column(EnumText(AlertEvent))
    key: Mapped[str] = mapped_column(String(80))
    message_id: Mapped[str] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[DeliveryState] = mapped_column(EnumText(DeliveryState))
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str | None] = mapped_column(String(200))
