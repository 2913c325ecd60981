"""Tables about the processes of an installation."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, UTCDateTime


class Level(StrEnum):
    """Result of a health check. With a WARNING, Nametag works."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class CheckedPart(StrEnum):
    """What a health check is about, in the order of the Health page."""

    DATABASE = "database"
    REDIS = "redis"
    PROCESSES = "processes"
    ACCOUNTS = "accounts"
    OWNER_REQUESTS = "owner_requests"
    DEAD_LETTERS = "dead_letters"
    LOOKUPS = "lookups"
    JOBS = "jobs"
    NAMING = "naming"
    ALERT_RECEIVERS = "alert_receivers"


class Heartbeat(Model):
    """When a process last reported that it runs: "scheduler", or the queue that a worker listens to."""

    __tablename__ = "heartbeats"

    part: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class SchedulerDuty(Model):
    """A duty that remembers when it runs: a schedule ("token-refresh"), or one more that is due every hour or day.

    The next run is due one period after `last_run_at`, when a scheduler last took it. `last_at` is when it last did its
    work, with `result`; `skipped_at` and `skipped_why` say when and why it last did not.
    """

    __tablename__ = "scheduler_duties"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_run_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    skipped_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    skipped_why: Mapped[str | None] = mapped_column(String(200))
    off_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    off_by: Mapped[str | None] = mapped_column(String(120))
    off_reason: Mapped[str | None] = mapped_column(String(200))
    running_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AccountScheduleOff(Model):
    """A schedule that a user switched off for one account, with the reason they gave. `name` is that of its duty."""

    __tablename__ = "schedules_off"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    off_at: Mapped[datetime] = mapped_column(UTCDateTime)
    off_by: Mapped[str] = mapped_column(String(120))
    off_reason: Mapped[str | None] = mapped_column(String(200))


class StoredFinding(Model):
    """The result of one health check when all checks last ran, at `seen_at`. `key` begins with the part.

    The same key, account and level at every run `since` then. Without an account it concerns the installation.
    """

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(128))
    check: Mapped[str] = mapped_column(String(128))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    level: Mapped[Level] = mapped_column(EnumText(Level))
    message: Mapped[str] = mapped_column(Text)
    fix: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
