"""Earlier usernames of a contact."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from app import clock
from app.db.engine import db
from app.models.identity import Identity, UsernameHistory

SHOWN = timedelta(days=30)  # so long pages show the previous username
SHOWN_OWNERS = 10


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


@dataclass(frozen=True, slots=True)
class UsernameOwner:
    """Another contact of the account with the same username: `until` (aware UTC) of the earlier owner, else None."""

    identity_id: int
    username: str
    until: datetime | None


def other_owners(identity_id: int) -> list[UsernameOwner]:
    """Return the contacts of the same account who had this contact's username, or have an earlier one of theirs."""
    own = select(Identity.account_id, Identity.username).where(Identity.id == identity_id)
    row = db.session.execute(own).first()
    if row is None:
        return []
    others = (Identity.account_id == row.account_id, Identity.id != identity_id)
    had = select(Identity.id, UsernameHistory.old_username, UsernameHistory.at)
    had = had.join(Identity, Identity.id == UsernameHistory.identity_id).where(*others)
    earlier = had.where(UsernameHistory.old_username == row.username).order_by(UsernameHistory.at.desc())
    own_history = select(UsernameHistory.old_username).where(UsernameHistory.identity_id == identity_id)
    has = select(Identity.id, Identity.username).where(*others, Identity.username.in_(own_history)).limit(SHOWN_OWNERS)
    found = [UsernameOwner(*each) for each in db.session.execute(earlier.limit(SHOWN_OWNERS))] if row.username else []
    return found + [UsernameOwner(row.id, str(row.username), None) for row in db.session.execute(has)]


def previous_username(identity_id: int) -> str | None:
    """Return the username that an identity had until at most 30 days ago, or None."""
    newest = next(iter(username_changes(identity_id)), None)
    return newest.old_username if newest and newest.at > clock.now() - SHOWN else None
