"""Earlier usernames of a contact."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from app import clock
from app.db.engine import db
from app.models.identity import UsernameHistory

SHOWN = timedelta(days=30)  # so long pages show the previous username


@dataclass(frozen=True, slots=True)
class UsernameChange:
    """One change of a username, observed at `at` (aware UTC)."""

    old_username: str
    new_username: str
    source: str
    at: datetime


def username_changes(identity_id: int) -> list[UsernameChange]:
    """Return every change of an identity's username, newest first."""
    columns = (UsernameHistory.old_username, UsernameHistory.new_username, UsernameHistory.source, UsernameHistory.at)
    found = select(*columns).where(UsernameHistory.identity_id == identity_id)
    newest = found.order_by(UsernameHistory.at.desc(), UsernameHistory.id.desc())
    return [UsernameChange(*row) for row in db.session.execute(newest)]


def previous_username(identity_id: int) -> str | None:
    """Return the username that an identity had until at most 30 days ago, or None."""
    newest = next(iter(username_changes(identity_id)), None)
    return newest.old_username if newest and newest.at > clock.now() - SHOWN else None
