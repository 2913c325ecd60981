"""Table of gaps: periods in which Nametag did not receive webhooks."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, UTCDateTime


class GapCause(StrEnum):
    """Why webhooks did not arrive.

    Meta rejected the access token; the webhook subscription was missing; none arrived for unusually long; no web server
    ran; or the database could not be written.
    """

    RECONNECT = "reconnect"
    SUBSCRIPTION = "subscription"
    SILENCE = "silence"
    OUTAGE = "outage"
    DATABASE = "database"


class GapState(StrEnum):
    """State of a gap: OPEN until a sync can read it, READING while one does; GIVEN_UP if that sync did not finish."""

    OPEN = "open"
    READING = "reading"
    CLOSED = "closed"
    CLOSED_WITH_LOSSES = "closed_with_losses"
    GIVEN_UP = "given_up"


UNCLOSED = (GapState.OPEN, GapState.READING)
_UNDISMISSED_SQL = text("dismissed_at IS NULL")
_UNCLOSED_SQL = text("state IN ('open', 'reading')")


class Gap(Model):
    """A period of one account without webhooks, and what the conversation sync fetched of it.

    Without `ended_at` it lasts. `found` messages in `conversations` came by a sync only; `history` of them were older
    than 7 days and are read. `lost` counts by LossCause the messages that could not be fetched, by the job `run_id`.
    """

    __tablename__ = "gaps"
    __table_args__ = (
        Index("ix_gaps_account_id_began_at", "account_id", "began_at"),
        Index(
            "ix_gaps_undismissed",
            "account_id",
            "closed_at",
            sqlite_where=_UNDISMISSED_SQL,
            postgresql_where=_UNDISMISSED_SQL,
        ),
        Index("ix_gaps_unclosed", "state", sqlite_where=_UNCLOSED_SQL, postgresql_where=_UNCLOSED_SQL),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    began_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    causes: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[GapState] = mapped_column(EnumText(GapState))
    run_id: Mapped[str | None] = mapped_column(String(12))
    conversations: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    found: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    history: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lost: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    dismissed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    dismissed_by: Mapped[str | None] = mapped_column(String(120))
