"""Tables about the processes of an installation."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, Text
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


class Heartbeat(Model):
    """When a process last reported that it runs: "scheduler", or the queue that a worker listens to."""

    __tablename__ = "heartbeats"

    part: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class SchedulerDuty(Model):
    """When the scheduler last ran a duty that is due every hour or day, for example "subscriptions.check_all"."""

    __tablename__ = "scheduler_duties"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_run_at: Mapped[datetime] = mapped_column(UTCDateTime)


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
