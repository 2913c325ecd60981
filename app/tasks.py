"""The complete list of background functions: each says that it began, then hands over to a room."""

from app import queue
from app.identities import avatars as picturing
from app.identities import opening
from app.identities import resolve as resolving
from app.ingest import announced as announcements
from app.ingest import sync as syncing
from app.runs import runner


def resolve(account_id: int) -> None:
    """Look up the people of one account who wait for a name."""
    queue.started(queue.RESOLVE, account_id)
    resolving.look_up_due(account_id)


def opened(identity_id: int) -> None:
    """Refresh the person whose conversation was opened, if they are stale."""
    queue.started(queue.OPENED, identity_id)
    opening.refresh(identity_id)


def avatars(account_id: int) -> None:
    """Fetch the pictures of one account's people."""
    queue.started(queue.AVATARS, account_id)
    picturing.fetch(account_id)


def backfill_slice(run_id: str) -> None:
    """Work one turn on a backfill."""
    queue.started(queue.BACKFILL_SLICE, run_id)
    runner.run_slice(run_id)


def refresh_slice(run_id: str) -> None:
    """Work one turn on a refresh."""
    queue.started(queue.REFRESH_SLICE, run_id)
    runner.run_slice(run_id)


def sync(account_id: int) -> None:
    """Sync an account's conversations until nothing new comes."""
    queue.started(queue.SYNC, account_id)
    syncing.sync_account(account_id, until_known=True)


def announced(account_id: int) -> None:
    """Look for an account's messages that were announced and not delivered."""
    queue.started(queue.ANNOUNCED, account_id)
    announcements.fetch_due(account_id)
