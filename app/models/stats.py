"""Tables of Insights."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import UTCDateTime


class HourlyStats(Model):
    """Statistics of the hour that begins at `at`: contacts by how they were shown at its end, and traffic.

    `messages` counts messages from contacts, `lookups` the profile calls that were made for them. `naming` has for each
    service level the new contacts of its period and how many were named in time; None in rows of earlier releases.
    """

    __tablename__ = "hourly_stats"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    username: Mapped[int]
    name: Mapped[int]
    short_id: Mapped[int]
    messages: Mapped[int]
    lookups: Mapped[int]
    naming: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))


class DailyArrivals(Model):
    """Messages of contacts on the UTC day that begins at `day`, without history; only a sync brought `synced` ones."""

    __tablename__ = "daily_arrivals"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    received: Mapped[int]
    synced: Mapped[int]
