"""Tables about the processes of an installation."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import UTCDateTime


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
