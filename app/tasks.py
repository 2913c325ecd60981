"""All background functions. Each records that it has started, then calls one function of a package."""

from app import queue
from app.identities import picture_fetch, refresh_on_open
from app.identities import resolve as lookups
from app.ingest import announced as announced_messages
from app.ingest import sync as conversation_sync
from app.runs import runner


def resolve(account_id: int) -> None:
    """Look up the contacts of an account whose lookup is due."""
    queue.started(queue.RESOLVE, account_id)
    lookups.look_up_due(account_id)


def opened(identity_id: int) -> None:
    """Refresh the contact whose conversation was opened, if they are stale."""
    queue.started(queue.OPENED, identity_id)
    refresh_on_open.refresh(identity_id)


def avatars(account_id: int) -> None:
    """Fetch the pictures of an account and of its contacts."""
    queue.started(queue.AVATARS, account_id)
    picture_fetch.fetch_account_picture(account_id)
    picture_fetch.fetch_contact_pictures(account_id)


def backfill_slice(run_id: str) -> None:
    """Run one slice of a backfill."""
    queue.started(queue.BACKFILL_SLICE, run_id)
    runner.run_slice(run_id)


def refresh_slice(run_id: str) -> None:
    """Run one slice of a refresh."""
    queue.started(queue.REFRESH_SLICE, run_id)
    runner.run_slice(run_id)


def sync(account_id: int) -> None:
    """Sync an account's conversations until one has nothing new."""
    queue.started(queue.SYNC, account_id)
    conversation_sync.sync_account(account_id, until_known=True)


def sync_slice(run_id: str) -> None:
    """Run one slice of a conversation sync that is a job."""
    queue.started(queue.SYNC_SLICE, run_id)
    runner.run_slice(run_id)


def announced(account_id: int) -> None:
    """Look up an account's messages that Meta announced and did not deliver."""
    queue.started(queue.ANNOUNCED, account_id)
    announced_messages.fetch_due(account_id)
