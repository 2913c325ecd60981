"""Tables of jobs, which the code calls runs, and of the contacts in them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, Index, String, Text, and_, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, UTCDateTime


class RunKind(StrEnum):
    """Backfill: unknown contacts. Refresh: all contacts. Sync: conversations, without looking contacts up."""

    BACKFILL = "backfill"
    REFRESH = "refresh"
    SYNC = "sync"


class RunState(StrEnum):
    """The state of a run. WAITING runs resume automatically at `resume_at`, PAUSED ones when a user resumes them."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELING = "canceling"
    CANCELED = "canceled"
    DONE = "done"
    FAILED = "failed"


# These hold the lock of account and kind: no second job starts. Workers take all of them except paused ones.
ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.PAUSED, RunState.CANCELING)
_ACTIVE_SQL = text("state IN ('queued', 'running', 'waiting', 'paused', 'canceling')")
IS_ACTIVE = text(f"runs.{_ACTIVE_SQL}")  # without parameters: databases use the indexes only for the same expression


class RunScope(StrEnum):
    """Which contacts of its kind a run looks up: all, those with recent messages, or expiring ones (scheduler only).

    FILTER and CHOSEN runs come from the Identities page: contacts that matched its filter, or that a user selected.
    A sync with GAP reads the conversations that changed in a gap (scheduler only).
    """

    ALL = "all"
    RECENT = "recent"
    EXPIRING = "expiring"
    FILTER = "filter"
    CHOSEN = "chosen"
    GAP = "gap"


class LossCause(StrEnum):
    """Why the conversation sync cannot fetch a message.

    Meta returns only the newest 20 of a conversation; its sender unsent it; or Meta returns it in a form that cannot be
    read, or fails.
    """

    OLDER = "older"
    UNSENT = "unsent"
    UNREADABLE = "unreadable"

    @classmethod
    def counts(cls, lost: Mapping[str, int]) -> dict[str, int]:
        """Return the number of messages of every cause, 0 included, as API and commands show them."""
        return {cause.value: lost.get(cause, 0) for cause in cls}


DELETED_CONTACT = "deleted-"


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
    single contacts. `kept_counts` are the items by state and reason, once the items themselves were deleted.

    A sync has an item for each conversation it has read: RESOLVED with new messages, else FRESH. It reads at most
    `most` conversations, in `scan_pages` pages (estimated). `found` counts new messages. `lost` counts by LossCause the
    messages sent after `since` that it could not fetch; `unreadable` holds the IDs of elements that it skipped.
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
    scope: Mapped[RunScope] = mapped_column(EnumText(RunScope), default=RunScope.ALL, server_default=RunScope.ALL)
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    paused_by: Mapped[str | None] = mapped_column(String(120))
    kept_counts: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    scan_pages: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scan_contacts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scanned_pages: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    scanned_contacts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    worked_seconds: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    most: Mapped[int | None]
    found: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lost: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    unreadable: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))


class RunItem(Model):
    """One contact of a run; `position` keeps the order, newest conversation first.

    `seconds` is the time that the job spent on it. The ID of a contact that was deleted begins with DELETED_CONTACT.
    `found` and `lost` are those of a sync, for this contact.
    """

    __tablename__ = "run_items"
    __table_args__ = (
        Index("ix_run_items_position", "run_id", "position"),
        Index("ix_run_items_state", "run_id", "state", "position"),
        Index(
            "ix_run_items_reason",
            "run_id",
            "reason",
            "position",
            "state",
            sqlite_where=text("reason IS NOT NULL"),
            postgresql_where=text("reason IS NOT NULL"),
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
    seconds: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    found: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lost: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))

    @classmethod
    def is_item(cls, run_id: str, ig_participant_id: str) -> ColumnElement[bool]:
        """Select the item of one contact in a run."""
        return and_(cls.run_id == run_id, cls.ig_participant_id == ig_participant_id)


class RunPlan(Model):
    """The contacts that a job of this kind would look up, counted at `counted_at`, for accounts with very many."""

    __tablename__ = "run_plans"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[RunKind] = mapped_column(EnumText(RunKind), primary_key=True)
    counted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    contacts: Mapped[dict[str, Any]] = mapped_column(JSON)
