"""Tables of jobs, which the code calls runs, and of the contacts in them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, UTCDateTime


class RunKind(StrEnum):
    """Backfill: unknown contacts. Refresh: all contacts."""

    BACKFILL = "backfill"
    REFRESH = "refresh"


class RunState(StrEnum):
    """The state of a run; WAITING runs resume automatically at `resume_at`."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELING = "canceling"
    CANCELED = "canceled"
    DONE = "done"
    FAILED = "failed"


ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.CANCELING)
_ACTIVE_SQL = text("state IN ('queued', 'running', 'waiting', 'canceling')")


class ItemState(StrEnum):
    """The state of one contact of a run."""

    PENDING = "todo"
    RESOLVED = "resolved"
    FRESH = "fresh"
    FAILED = "failed"
    SKIPPED = "skipped"


class Run(Model):
    """One backfill or refresh of one account; the partial unique index makes a second active one impossible.

    `scan_…` is the plan of the page scan, `scanned_…` what was done of it. `worked_seconds` is the time of lookups of
    single contacts.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index(
            "uq_runs_active",
            "account_id",
            "kind",
            unique=True,
            sqlite_where=_ACTIVE_SQL,
            postgresql_where=_ACTIVE_SQL,
        ),
        Index("ix_runs_created_at", "created_at"),
        Index("ix_runs_active", "state", sqlite_where=_ACTIVE_SQL, postgresql_where=_ACTIVE_SQL),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[RunKind] = mapped_column(EnumText(RunKind))
    state: Mapped[RunState] = mapped_column(EnumText(RunState))
    reason: Mapped[str | None] = mapped_column(Text)
    batch_size: Mapped[int]
    started_by: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    resume_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    waiting_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_by: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    fence: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    total: Mapped[int]
    resolved: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    fresh: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    failed: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    skipped: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    calls: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    cache_hits: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    days: Mapped[int | None]
    scan_pages: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scan_contacts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scanned_pages: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scanned_contacts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    worked_seconds: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))


class RunItem(Model):
    """One contact of a run; `position` keeps the order, newest conversation first."""

    __tablename__ = "run_items"
    __table_args__ = (
        Index(
            "ix_run_items_open",
            "run_id",
            "position",
            sqlite_where=text("state = 'todo'"),
            postgresql_where=text("state = 'todo'"),
        ),
        Index(
            "ix_run_items_failed",
            "run_id",
            "position",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    ig_participant_id: Mapped[str] = mapped_column(IgId, primary_key=True)
    position: Mapped[int] = mapped_column(Id)
    state: Mapped[ItemState] = mapped_column(EnumText(ItemState), default=ItemState.PENDING)
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str | None] = mapped_column(String(32))
    code: Mapped[str | None] = mapped_column(String(32))
    calls: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
